"""Makes every part of the agent, in order, and ties them together; runs none of them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ulid import ULID

from wharfside_agent import host
from wharfside_agent.bus.connection import NatsBus
from wharfside_agent.bus.mailbox import NatsMailbox
from wharfside_agent.bus.options import BusOptions
from wharfside_agent.bus.service import RpcService
from wharfside_agent.core.placement import Places, RunPlace, container_cgroup
from wharfside_agent.handlers.node import Node
from wharfside_agent.handlers.registry import HANDLERS
from wharfside_agent.machine import Machine
from wharfside_agent.ports.bus import Request
from wharfside_agent.ports.store import Store
from wharfside_agent.services.acceptance import Acceptance
from wharfside_agent.services.admission import Admission
from wharfside_agent.services.commands import Commands
from wharfside_agent.services.containers import Containers, Live
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
from wharfside_agent.services.mailroom import Mailroom
from wharfside_agent.services.presence import Presence
from wharfside_agent.services.projections import Projections
from wharfside_agent.services.publisher import Publisher
from wharfside_agent.services.recovery import Recovery
from wharfside_agent.services.relist import Relist
from wharfside_agent.services.reporter import Reporter
from wharfside_agent.services.restarts import Restarts
from wharfside_agent.services.runner import Runner
from wharfside_agent.services.snapshots import Snapshots
from wharfside_agent.services.starts import Starts
from wharfside_agent.services.tasks import Tasks
from wharfside_agent.settings import Settings
from wharfside_protocol import __version__
from wharfside_protocol.codec import encode
from wharfside_protocol.commands import OPS
from wharfside_protocol.envelope import Result
from wharfside_protocol.errors import Busy
from wharfside_protocol.subjects import Subjects
from wharfside_protocol.times import NANOSECONDS, to_timestamp
from wharfside_protocol.views import NodeInfo


@dataclass(frozen=True, slots=True)
class Parts:
    """What a life of the agent keeps in hand; the rest is held by these."""

    store: Store
    bus: NatsBus
    publisher: Publisher
    reporter: Reporter
    presence: Presence
    projections: Projections
    recovery: Recovery
    heard: LastHeard
    disconnects: Disconnects
    relist: Relist
    snapshots: Snapshots
    dispatcher: Dispatcher
    mailroom: Mailroom
    commands: Commands
    drain: Drain
    going_down: asyncio.Future[None]
    tasks: Tasks


def compose(
    settings: Settings,
    places: Places,
    clock: host.SystemClock,
    store: Store,
    machine: Machine,
    journal: Journal,
) -> Parts:
    name = settings.node.name
    subjects = Subjects(settings.nats.prefix)
    tasks = Tasks()
    containers = Containers(store, clock)
    commands = Commands(store, clock, name)
    admission = Admission(store)
    commands.admit_by(admission.check)
    exits = ExitTeller(containers, tasks, clock, journal)
    lanes = Lanes(settings.limits.lanes, settings.limits.lane_depth)
    endings = Endings(containers, machine.runtime, lanes, clock, journal)
    bus = _bus(settings, store)
    heard = LastHeard(store, clock)

    def bundle_of(incarnation: str, run: int) -> str:
        return str(RunPlace(places, incarnation, run).bundle)

    starts = Starts(store, containers, machine.runtime, exits, clock, journal, bundle_of)
    restarts = Restarts(store, containers, starts, heard, lanes, clock, tasks)
    disconnects = Disconnects(bus, heard, containers, endings, restarts, lanes, clock, tasks)

    async def after_exit(live: Live) -> None:
        await endings.after_exit(live)
        await restarts.after_exit(live)

    exits.then(after_exit)
    if settings.runtime.on_monitor_lost == "stop":
        exits.at_monitor_lost(endings.after_monitor)
    recognized_ns = int(settings.outbox.recognized_s * NANOSECONDS)
    publisher = Publisher(store, bus, subjects, clock, tasks, recognized_ns)
    reporter = Reporter(store, bus, subjects, journal)
    projections = Projections(store, bus, clock)
    drain = Drain(
        store, containers, commands, endings, restarts, lanes, bus, subjects, clock, tasks
    )
    snapshots = Snapshots(store, clock, settings.snapshot.every_s)
    relist = Relist(
        store,
        machine.ground,
        containers,
        exits,
        lanes,
        every_s=settings.relist.every_s,
        patience_s=settings.relist.patience_s,
    )
    presence = Presence(
        _node_info(settings, store, machine, clock),
        bus,
        subjects,
        clock,
        containers,
        tasks,
        lambda: {
            "ready": _streams(publisher, reporter) | admission.ready,
            "events_missed": relist.missed,
            "orphans": relist.orphans,
        },
        lambda: drain.draining,
    )
    drain.on_change(presence.changed)

    def told(lane: str) -> None:
        projections.acked(lane)
        presence.changed()

    publisher.on_idle(told)
    going_down: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    node = Node(
        store=store,
        clock=clock,
        runtime=machine.runtime,
        containers=containers,
        exits=exits,
        endings=endings,
        starts=starts,
        restarts=restarts,
        heard=heard,
        commands=commands,
        journal=journal,
        drain=drain,
        going_down=going_down,
        projections=projections,
        snapshots=snapshots,
        info=presence.info,
        cgroup_of=lambda incarnation: container_cgroup(machine.delegated, incarnation),
        bundle_of=bundle_of,
    )
    runner = Runner(commands, lanes, clock, tasks, journal, HANDLERS, node, lambda: drain.draining)
    intake = Intake(name, commands, HANDLERS)
    dispatcher = Dispatcher(name, subjects, commands, intake, runner)
    mailroom = Mailroom(
        NatsMailbox(bus, name),
        Acceptance(name, subjects, store, commands, intake),
        intake,
        commands,
        runner,
        store,
        Insistence(bus),
        journal,
        settings.limits.mailbox,
        admission.shortage,
        presence.changed,
    )
    presence.on_mailbox(lambda: mailroom.state)
    recovery = Recovery(
        store,
        machine.runtime,
        containers,
        exits,
        endings,
        starts,
        restarts,
        commands,
        clock,
        tasks,
    )
    return Parts(
        store=store,
        bus=bus,
        publisher=publisher,
        reporter=reporter,
        presence=presence,
        projections=projections,
        recovery=recovery,
        heard=heard,
        disconnects=disconnects,
        relist=relist,
        snapshots=snapshots,
        dispatcher=dispatcher,
        mailroom=mailroom,
        commands=commands,
        drain=drain,
        going_down=going_down,
        tasks=tasks,
    )


def _streams(publisher: Publisher, reporter: Reporter) -> dict[str, str]:
    return {"bus": "no-stream"} if publisher.no_stream or reporter.no_stream else {}


def _bus(settings: Settings, store: Store) -> NatsBus:
    service = RpcService(
        __version__,
        settings.node.name,
        store.identity.node_id,
        tuple(HANDLERS),
        tuple(op.name for op in OPS.values() if op.instant),
        settings.limits.requests,
        _overloaded(settings.node.name),
    )
    return NatsBus(bus_options(settings), service)


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
        cgroup=machine.delegated,
        kernel=host.kernel(),
        architecture=host.architecture(),
        cpus=os.cpu_count(),
        memory_bytes=host.memory_bytes(),
    )
