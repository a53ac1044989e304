"""Checkpoints, and containers between nodes."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from wharfside_agent import host
from wharfside_agent.archive.overlays import OverlayLayers
from wharfside_agent.bus.mailbox import NatsMailbox
from wharfside_agent.composition.telling import Telling
from wharfside_agent.core.journal import Step
from wharfside_agent.images.disk import DiskImages
from wharfside_agent.ports.rows import Arrival, Departure
from wharfside_agent.services.checkpoints.dumps import Checkpoints
from wharfside_agent.services.checkpoints.manifests import Here
from wharfside_agent.services.checkpoints.outcomes import Outcomes
from wharfside_agent.services.checkpoints.phases import Phases
from wharfside_agent.services.checkpoints.restores import Restores
from wharfside_agent.services.checkpoints.shelf import Shelf
from wharfside_agent.services.insistence import Insistence
from wharfside_agent.services.migration.arrivals import Arrivals
from wharfside_agent.services.migration.carriage import Carriage
from wharfside_agent.services.migration.coming import ComingContainer
from wharfside_agent.services.migration.departures import Departures
from wharfside_agent.services.migration.leaving import LeavingContainer
from wharfside_agent.services.migration.means import Means
from wharfside_agent.services.migration.node_facts import Facts
from wharfside_agent.services.recovery.first_look import Recovery
from wharfside_agent.services.recovery.unfinished import Unfinished
from wharfside_agent.services.recovery.unfinished_checkpoints import UnfinishedCheckpoints
from wharfside_protocol.assets import CKPT
from wharfside_protocol.checkpoints import Phase


class Moves(Telling):
    """Images, what makes them, what goes on from them, and their way to another node."""

    @cached_property
    def images(self) -> DiskImages:
        quota = self.settings.checkpoints.max_mib * 1024 * 1024
        return DiskImages(self.places.checkpoints, quota)

    @cached_property
    def layers(self) -> OverlayLayers:
        return OverlayLayers()

    @cached_property
    def shelf(self) -> Shelf:
        return Shelf(self.images)

    @cached_property
    def phases(self) -> Phases:
        return Phases(self.name, self.bus, self.subjects, self.clock, self.tasks)

    @cached_property
    def here(self) -> Here:
        runtime = self.machine.runtime
        return Here(
            self.name,
            host.architecture(),
            host.kernel(),
            runtime.criu.version or "",
            {each.name: each.version for each in runtime.available},
            host.cpu_features(),
        )

    @cached_property
    def checkpoint_outcomes(self) -> Outcomes:
        return Outcomes(self.containers)

    @cached_property
    def checkpoints(self) -> Checkpoints:
        return Checkpoints(
            self.store,
            self.checkpoint_outcomes,
            self.machine.runtime,
            self.images,
            self.layers,
            self.endings,
            self.phases,
            self.clock,
            self.journal,
            self.here,
            self.layer_of,
        )

    @cached_property
    def restores(self) -> Restores:
        return Restores(
            self.containers,
            self.machine.runtime,
            self.shelf,
            self.layers,
            self.births,
            self.starts,
            self.capacity,
            self.exits,
            self.phases,
            self.clock,
            self.journal,
            self.layer_of,
        )

    @cached_property
    def unfinished(self) -> Unfinished:
        return Unfinished(
            self.containers, self.endings, self.starts, self.commands, self.clock, self.tasks
        )

    @cached_property
    def unfinished_checkpoints(self) -> UnfinishedCheckpoints:
        return UnfinishedCheckpoints(
            self.checkpoints,
            self.checkpoint_outcomes,
            self.restores,
            self.machine.runtime,
            self.images,
            self.commands,
            self.exits,
            self.clock,
            self.tasks,
            self.here,
        )

    @cached_property
    def carriage(self) -> Carriage:
        return Carriage(
            NatsMailbox(self.bus, self.name, CKPT),
            self.bus,
            self.subjects,
            self.name,
            Insistence(self.bus),
        )

    @cached_property
    def migration_means(self) -> Means:
        return Means(self.store, self.carriage, self.images, self.clock, self.tasks)

    @cached_property
    def facts(self) -> Facts:
        node_id = self.store.identity.node_id
        return Facts(self.here, node_id, self.machine.runtime, self.layers)

    @cached_property
    def departures(self) -> Departures:
        leaving = LeavingContainer(
            self.name,
            self.containers,
            self.checkpoints,
            self.restores,
            self.endings,
            self.images,
            self.lanes,
            self.clock,
        )
        return Departures(
            self.migration_means,
            leaving,
            lambda state: self.journal.reached(Step(f"source.{state}")),
            self._tell_departure,
        )

    def _tell_departure(self, row: Departure, phase: Phase, done: int, total: int) -> None:
        if row.command is not None:
            self.phases.tell(row.command, "migrate", phase, done, total)

    @cached_property
    def arrivals(self) -> Arrivals:
        coming = ComingContainer(
            self.name,
            self.store,
            self.containers,
            self.restores,
            self.endings,
            self.lanes,
            self.clock,
        )
        return Arrivals(
            self.migration_means,
            coming,
            self.bus,
            lambda state: self.journal.reached(Step(f"target.{state}")),
        )

    def _coming(self) -> Iterable[Arrival]:
        return self.arrivals.under_way

    @cached_property
    def recovery(self) -> Recovery:
        return Recovery(
            self.store,
            self.machine.runtime,
            self.containers,
            self.births,
            self.exits,
            self.endings,
            self.restarts,
            self.commands,
            self.unfinished,
            self.unfinished_checkpoints,
            self.clock,
            self.tasks,
        )
