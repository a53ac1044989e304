"""Makes every part of the agent and ties them together; runs none of them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from ulid import ULID

from wharfside_agent import host
from wharfside_agent.archive.archives import TarArchives
from wharfside_agent.archive.overlays import OverlayLayers
from wharfside_agent.bus.connection import NatsBus
from wharfside_agent.bus.mailbox import NatsMailbox
from wharfside_agent.bus.options import BusOptions
from wharfside_agent.bus.service import RpcService
from wharfside_agent.core.journal import Step
from wharfside_agent.core.placement import Places, RunPlace, container_cgroup
from wharfside_agent.handlers.node import Node
from wharfside_agent.handlers.registry import HANDLERS
from wharfside_agent.images.disk import DiskImages
from wharfside_agent.machine import Machine
from wharfside_agent.ports.bus import Request
from wharfside_agent.ports.store import Store
from wharfside_agent.services.acceptance import Acceptance
from wharfside_agent.services.admission import Admission
from wharfside_agent.services.arrivals import Arrivals
from wharfside_agent.services.attachments import Attachments
from wharfside_agent.services.carriage import Carriage
from wharfside_agent.services.checkpoint_files import CheckpointFiles
from wharfside_agent.services.checkpoint_shelf import Shelf
from wharfside_agent.services.checkpoints import Checkpoints
from wharfside_agent.services.coming import ComingContainer
from wharfside_agent.services.commands import Commands
from wharfside_agent.services.containers import Containers, Live
from wharfside_agent.services.departures import Departures
from wharfside_agent.services.disconnects import Disconnects
from wharfside_agent.services.dispatcher import Dispatcher
from wharfside_agent.services.drain import Drain
from wharfside_agent.services.endings import Endings
from wharfside_agent.services.exits import ExitTeller
from wharfside_agent.services.insistence import Insistence
from wharfside_agent.services.intake import Intake
from wharfside_agent.services.journal import Journal
from wharfside_agent.services.lanes import Lanes
from wharfside_agent.services.last_heard import LastHeard
from wharfside_agent.services.leaving import LeavingContainer
from wharfside_agent.services.mailroom import Mailroom
from wharfside_agent.services.manifests import Here
from wharfside_agent.services.node_facts import Facts
from wharfside_agent.services.phases import Phases
from wharfside_agent.services.presence import Presence
from wharfside_agent.services.projections import Projections
from wharfside_agent.services.publisher import Publisher
from wharfside_agent.services.recovery import Recovery
from wharfside_agent.services.relist import Relist
from wharfside_agent.services.reporter import Reporter
from wharfside_agent.services.restarts import Restarts
from wharfside_agent.services.restores import Restores
from wharfside_agent.services.runner import Runner
from wharfside_agent.services.sessions import Sessions
from wharfside_agent.services.shipping import Shipping
from wharfside_agent.services.snapshots import Snapshots
from wharfside_agent.services.starts import Starts
from wharfside_agent.services.tasks import Tasks
from wharfside_agent.services.unfinished_checkpoints import UnfinishedCheckpoints
from wharfside_agent.settings import Settings
from wharfside_protocol import __version__
from wharfside_protocol.assets import CKPT
from wharfside_protocol.codec import encode
from wharfside_protocol.commands import OPS
from wharfside_protocol.envelope import Result
from wharfside_protocol.errors import Busy
from wharfside_protocol.subjects import Subjects
from wharfside_protocol.times import NANOSECONDS, to_timestamp
from wharfside_protocol.views import NodeInfo


class Parts:
    """Each part of one life of the agent, made when it is first asked for, and once.

    A part names the others that it is given; nobody keeps an order by hand. Two parts that
    need each other are tied in `_tie`.
    """

    def __init__(
        self,
        settings: Settings,
        places: Places,
        clock: host.SystemClock,
        store: Store,
        machine: Machine,
        journal: Journal,
    ) -> None:
        self.settings = settings
        self.places = places
        self.clock = clock
        self.store = store
        self.machine = machine
        self.journal = journal
        self.name = settings.node.name
        self.subjects = Subjects(settings.nats.prefix)
        self.tasks = Tasks()
        self.going_down: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tie()

    def _tie(self) -> None:
        self.commands.admit_by(self.admission.check)
        self.exits.then(self._after_exit)
        self.endings.before_removal(self.shipping.finish)
        if self.settings.runtime.on_monitor_lost == "stop":
            self.exits.at_monitor_lost(self.endings.after_monitor)
        self.drain.on_change(self.presence.changed)
        self.publisher.on_idle(self._told)
        self.presence.on_mailbox(lambda: self.mailroom.state)

    async def _after_exit(self, live: Live) -> None:
        await self.endings.after_exit(live)
        await self.restarts.after_exit(live)

    def _told(self, lane: str) -> None:
        self.projections.acked(lane)
        self.presence.changed()

    def bundle_of(self, incarnation: str, run: int) -> str:
        return str(RunPlace(self.places, incarnation, run).bundle)

    def layer_of(self, incarnation: str) -> Path:
        return RunPlace(self.places, incarnation, 1).layer

    def cgroup_of(self, incarnation: str) -> str:
        return container_cgroup(self.machine.delegated, incarnation)

    # What runs here, and how it ends.

    @cached_property
    def containers(self) -> Containers:
        return Containers(self.store, self.clock)

    @cached_property
    def lanes(self) -> Lanes:
        return Lanes(self.settings.limits.lanes, self.settings.limits.lane_depth)

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
    def heard(self) -> LastHeard:
        return LastHeard(self.store, self.clock)

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
    def recovery(self) -> Recovery:
        return Recovery(
            self.store,
            self.machine.runtime,
            self.containers,
            self.exits,
            self.endings,
            self.starts,
            self.restarts,
            self.commands,
            self.unfinished_checkpoints,
            self.clock,
            self.tasks,
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

    # Checkpoints.

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
    def checkpoints(self) -> Checkpoints:
        return Checkpoints(
            self.store,
            self.containers,
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
            self.store,
            self.containers,
            self.machine.runtime,
            self.shelf,
            self.layers,
            self.starts,
            self.exits,
            self.phases,
            self.clock,
            self.journal,
            self.layer_of,
            self.cgroup_of,
            self.bundle_of,
        )

    # Containers between nodes.

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
            self.store,
            self.carriage,
            self.images,
            leaving,
            self.clock,
            self.tasks,
            lambda state: self.journal.reached(Step(f"source.{state}")),
        )

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
            self.store,
            self.carriage,
            self.images,
            coming,
            self.bus,
            self.clock,
            self.tasks,
            lambda state: self.journal.reached(Step(f"target.{state}")),
        )

    @cached_property
    def unfinished_checkpoints(self) -> UnfinishedCheckpoints:
        return UnfinishedCheckpoints(
            self.checkpoints,
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
    def shipping(self) -> Shipping:
        return Shipping(
            self.name,
            self.containers,
            self.machine.logs,
            self.store,
            self.bus,
            self.subjects,
            self.tasks,
        )

    # Commands, from both ways in.

    @cached_property
    def admission(self) -> Admission:
        return Admission(self.store)

    @cached_property
    def commands(self) -> Commands:
        return Commands(self.store, self.clock, self.name)

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

    @cached_property
    def node(self) -> Node:
        return Node(
            store=self.store,
            clock=self.clock,
            runtime=self.machine.runtime,
            containers=self.containers,
            exits=self.exits,
            endings=self.endings,
            starts=self.starts,
            restarts=self.restarts,
            heard=self.heard,
            commands=self.commands,
            journal=self.journal,
            drain=self.drain,
            sessions=self.sessions,
            checkpoints=self.checkpoints,
            restores=self.restores,
            shelf=self.shelf,
            checkpoint_files=CheckpointFiles(self.images, self.archives, self.tasks),
            facts=self.facts,
            departures=self.departures,
            arrivals=self.arrivals,
            attachments=self.attachments,
            archives=self.archives,
            logs=self.machine.logs,
            going_down=self.going_down,
            projections=self.projections,
            snapshots=self.snapshots,
            info=self.presence.info,
            machine_usage=self.machine.usage,
            cgroup_of=self.cgroup_of,
            bundle_of=self.bundle_of,
        )

    @cached_property
    def runner(self) -> Runner:
        return Runner(
            self.commands,
            self.lanes,
            self.clock,
            self.tasks,
            self.journal,
            HANDLERS,
            self.node,
            lambda: self.drain.draining,
        )

    @cached_property
    def intake(self) -> Intake:
        return Intake(self.name, self.commands, HANDLERS)

    @cached_property
    def dispatcher(self) -> Dispatcher:
        return Dispatcher(self.name, self.subjects, self.commands, self.intake, self.runner)

    @cached_property
    def mailroom(self) -> Mailroom:
        return Mailroom(
            NatsMailbox(self.bus, self.name),
            Acceptance(self.name, self.subjects, self.store, self.commands, self.intake),
            self.intake,
            self.commands,
            self.runner,
            self.store,
            Insistence(self.bus),
            self.journal,
            self.settings.limits.mailbox,
            self.admission.shortage,
            self.presence.changed,
        )

    @cached_property
    def attachments(self) -> Attachments:
        return Attachments(self.containers, self.machine.logs, self.tasks)

    @cached_property
    def sessions(self) -> Sessions:
        return Sessions(
            self.name,
            self.bus,
            self.subjects,
            self.tasks,
            most=self.settings.limits.sessions,
            window=self.settings.sessions.window,
            idle_s=self.settings.sessions.idle_s,
        )

    @cached_property
    def archives(self) -> TarArchives:
        settings = self.settings
        return TarArchives(settings.limits.archives, settings.disk.keep_free_mib * 1024 * 1024)

    # What is told, and where.

    @cached_property
    def bus(self) -> NatsBus:
        service = RpcService(
            __version__,
            self.name,
            self.store.identity.node_id,
            tuple(HANDLERS),
            tuple(op.name for op in OPS.values() if op.instant),
            self.settings.limits.requests,
            _overloaded(self.name),
        )
        return NatsBus(bus_options(self.settings), service)

    @cached_property
    def publisher(self) -> Publisher:
        recognized_ns = int(self.settings.outbox.recognized_s * NANOSECONDS)
        return Publisher(self.store, self.bus, self.subjects, self.clock, self.tasks, recognized_ns)

    @cached_property
    def reporter(self) -> Reporter:
        return Reporter(self.store, self.bus, self.subjects, self.journal)

    @cached_property
    def projections(self) -> Projections:
        return Projections(self.store, self.bus, self.clock)

    @cached_property
    def snapshots(self) -> Snapshots:
        return Snapshots(self.store, self.clock, self.settings.snapshot.every_s)

    @cached_property
    def presence(self) -> Presence:
        return Presence(
            _node_info(self.settings, self.store, self.machine, self.clock),
            self.bus,
            self.subjects,
            self.clock,
            self.containers,
            self.tasks,
            self._health,
            lambda: self.drain.draining,
        )

    def _health(self) -> dict[str, Any]:
        unheard = self.publisher.no_stream or self.reporter.no_stream
        return {
            "ready": ({"bus": "no-stream"} if unheard else {}) | self.admission.ready,
            "events_missed": self.relist.missed,
            "orphans": self.relist.orphans,
        }


def _overloaded(node: str) -> Callable[[Request], bytes]:
    def answer(request: Request) -> bytes:
        busy = Busy("this node has as many requests as it takes: try again later")
        op = request.subject.rpartition(".")[2]
        return encode(Result(id="", op=op, node=node, ok=False, error=busy.to_body()))

    return answer


def bus_options(settings: Settings) -> BusOptions:
    """How the settings reach the bus."""
    nats = settings.nats

    def path(text: str | None) -> Path | None:
        return None if text is None else Path(text)

    return BusOptions(
        servers=nats.servers,
        name=f"wharfside-agent {settings.node.name}",
        inbox_prefix=f"_INBOX_{settings.node.name}",
        creds=path(nats.creds),
        nkey_seed=path(nats.nkey_seed),
        ca=path(nats.ca),
        certificate=path(nats.certificate),
        key=path(nats.key),
        user=nats.user,
        password=nats.password,
        password_file=path(nats.password_file),
        ping_interval_s=nats.ping_interval_s,
        unacked_s=nats.unacked_s,
        unanswered_s=nats.unanswered_s,
        spread_s=nats.spread_s,
    )


def _node_info(
    settings: Settings, store: Store, machine: Machine, clock: host.SystemClock
) -> NodeInfo:
    identity = store.identity
    now = to_timestamp(clock.now())
    return NodeInfo(
        node=identity.node,
        node_id=identity.node_id,
        boot_id=identity.boot_id,
        life=str(ULID()),
        epoch=identity.epoch,
        version=__version__,
        state="up",
        started_at=now,
        at=now,
        labels=settings.node.labels,
        take_over=settings.node.take_over,
        runtimes=list(machine.runtime.available),
        criu=machine.runtime.criu,
        cgroup=machine.delegated,
        kernel=host.kernel(),
        architecture=host.architecture(),
        cpus=os.cpu_count(),
        memory_bytes=host.memory_bytes(),
    )
