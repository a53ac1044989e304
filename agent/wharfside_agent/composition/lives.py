"""What runs here, how it begins again, and how it ends."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from wharfside_agent import host
from wharfside_agent.composition.foundation import Foundation
from wharfside_agent.ports.rows import Arrival
from wharfside_agent.services.life.births import Births
from wharfside_agent.services.life.capacity import Capacity
from wharfside_agent.services.life.disconnects import Disconnects
from wharfside_agent.services.life.drain import Drain
from wharfside_agent.services.life.endings import Endings
from wharfside_agent.services.life.exits import ExitTeller
from wharfside_agent.services.life.pressure import PressureTeller
from wharfside_agent.services.life.restarts import Restarts
from wharfside_agent.services.life.starts import Starts
from wharfside_agent.services.recovery.relist import Relist


class Lives(Foundation):
    """Containers from their start to their end."""

    @cached_property
    def capacity(self) -> Capacity:
        return Capacity(
            self.settings.capacity,
            host.resources(),
            self.machine.rules,
            self.containers,
            self._coming,
        )

    def _coming(self) -> Iterable[Arrival]:
        """Containers on their way here: the floor above knows them."""
        return ()

    @cached_property
    def births(self) -> Births:
        return Births(
            self.store,
            self.containers,
            self.clock,
            self.journal,
            self.cgroup_of,
            self.bundle_of,
        )

    @cached_property
    def exits(self) -> ExitTeller:
        return ExitTeller(self.containers, self.tasks, self.clock, self.journal)

    @cached_property
    def endings(self) -> Endings:
        return Endings(self.containers, self.machine.runtime, self.lanes, self.clock, self.journal)

    @cached_property
    def starts(self) -> Starts:
        return Starts(
            self.store,
            self.containers,
            self.machine.runtime,
            self.exits,
            self.clock,
            self.journal,
            self.bundle_of,
        )

    @cached_property
    def restarts(self) -> Restarts:
        return Restarts(
            self.store,
            self.containers,
            self.starts,
            self.heard,
            self.lanes,
            self.clock,
            self.tasks,
        )

    @cached_property
    def disconnects(self) -> Disconnects:
        return Disconnects(
            self.bus,
            self.heard,
            self.containers,
            self.endings,
            self.restarts,
            self.lanes,
            self.clock,
            self.tasks,
        )

    @cached_property
    def pressure(self) -> PressureTeller:
        wanted = self.settings.pressure
        return PressureTeller(
            self.containers, self.machine.stalls, self.clock, wanted.shares, wanted.again_s
        )

    @cached_property
    def relist(self) -> Relist:
        return Relist(
            self.store,
            self.machine.ground,
            self.containers,
            self.exits,
            self.lanes,
            every_s=self.settings.relist.every_s,
            patience_s=self.settings.relist.patience_s,
        )

    @cached_property
    def drain(self) -> Drain:
        return Drain(
            self.store,
            self.containers,
            self.commands,
            self.endings,
            self.restarts,
            self.lanes,
            self.bus,
            self.subjects,
            self.clock,
            self.tasks,
        )
