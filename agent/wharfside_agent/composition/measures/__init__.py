"""Every metric of the agent in one table, with where it is read; operations.md is drawn from it.

Values come from what the parts count anyway; nothing here runs but while somebody asks.
"""

from __future__ import annotations

from wharfside_agent.composition.measures.commands import COMMANDS
from wharfside_agent.composition.measures.containers import CONTAINERS
from wharfside_agent.composition.measures.node import NODE
from wharfside_agent.composition.measures.sources import Sources
from wharfside_agent.composition.measures.telling import TELLING
from wharfside_agent.metrics.metric import Metric

METRICS: tuple[Metric[Sources], ...] = (*NODE, *CONTAINERS, *COMMANDS, *TELLING)
