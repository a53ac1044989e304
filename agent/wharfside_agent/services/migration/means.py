"""What both ends of a migration work with, whatever moves."""

from __future__ import annotations

from dataclasses import dataclass

from wharfside_agent.ports.clock import Clock
from wharfside_agent.ports.images import Images
from wharfside_agent.ports.store import Store
from wharfside_agent.services.migration.carriage import Carriage
from wharfside_agent.services.tasks import Tasks


@dataclass(frozen=True, slots=True)
class Means:
    store: Store
    carriage: Carriage
    images: Images
    clock: Clock
    tasks: Tasks

    @property
    def node_id(self) -> str:
        """Of this end, in every word."""
        return self.store.identity.node_id
