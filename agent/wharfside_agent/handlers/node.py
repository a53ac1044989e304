"""What a handler is given of the agent: everything that it may touch, by name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from wharfside_agent.ports.archive import Archives
from wharfside_agent.ports.clock import Clock
from wharfside_agent.ports.logs import Logs
from wharfside_agent.ports.runtime import Runtime
from wharfside_agent.ports.store import Store
from wharfside_agent.services.checkpoints.dumps import Checkpoints
from wharfside_agent.services.checkpoints.files import CheckpointFiles
from wharfside_agent.services.checkpoints.restores import Restores
from wharfside_agent.services.checkpoints.shelf import Shelf
from wharfside_agent.services.commands.book import Commands
from wharfside_agent.services.commands.intake import Intake
from wharfside_agent.services.journal import Journal
from wharfside_agent.services.last_heard import LastHeard
from wharfside_agent.services.life.births import Births
from wharfside_agent.services.life.capacity import Capacity
from wharfside_agent.services.life.containers import Containers
from wharfside_agent.services.life.drain import Drain
from wharfside_agent.services.life.endings import Endings
from wharfside_agent.services.life.exits import ExitTeller
from wharfside_agent.services.life.restarts import Restarts
from wharfside_agent.services.life.starts import Starts
from wharfside_agent.services.migration.arrivals import Arrivals
from wharfside_agent.services.migration.departures import Departures
from wharfside_agent.services.migration.node_facts import Facts
from wharfside_agent.services.rulebook import Rulebook
from wharfside_agent.services.streams.attachments import Attachments
from wharfside_agent.services.streams.sessions import Sessions
from wharfside_agent.services.telling.projections import Projections
from wharfside_agent.services.telling.snapshots import Snapshots
from wharfside_protocol.stats import Usage
from wharfside_protocol.views import NodeInfo


@dataclass(frozen=True, slots=True)
class Node:
    store: Store
    rules: Rulebook
    capacity: Capacity
    clock: Clock
    runtime: Runtime
    containers: Containers
    births: Births
    exits: ExitTeller
    endings: Endings
    starts: Starts
    restarts: Restarts
    heard: LastHeard
    commands: Commands
    intake: Intake
    journal: Journal
    drain: Drain
    sessions: Sessions
    checkpoints: Checkpoints
    restores: Restores
    shelf: Shelf
    checkpoint_files: CheckpointFiles
    facts: Facts
    departures: Departures
    arrivals: Arrivals
    attachments: Attachments
    archives: Archives
    logs: Logs
    projections: Projections
    snapshots: Snapshots
    info: Callable[[], NodeInfo]
    machine_usage: Callable[[], Usage]
    """The whole machine's figures."""
    going_down: asyncio.Future[None]
    """Done once the agent goes down: what only waits is answered then."""
