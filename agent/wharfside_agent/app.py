"""The composition root: makes every part, in order, and owns every task until the end.

Truth first, bus last: the store is opened and the containers are found again before
a command is taken, and whether or not there is a server.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from ulid import ULID

from wharfside_agent import host
from wharfside_agent.bus.connection import NatsBus
from wharfside_agent.bus.mailbox import NatsMailbox
from wharfside_agent.bus.options import BusOptions
from wharfside_agent.bus.service import RpcService
from wharfside_agent.core.placement import Places, RunPlace, container_cgroup
from wharfside_agent.handlers.node import Node
from wharfside_agent.handlers.registry import HANDLERS
from wharfside_agent.machine import Machine, make_machine
from wharfside_agent.notify import keep_alive, notify
from wharfside_agent.ports.bus import Request
from wharfside_agent.ports.store import EventDraft, Store
from wharfside_agent.services.acceptance import Acceptance
from wharfside_agent.services.commands import Commands
from wharfside_agent.services.containers import Containers
from wharfside_agent.services.dispatcher import Dispatcher
from wharfside_agent.services.endings import Endings
from wharfside_agent.services.exits import ExitTeller
from wharfside_agent.services.insistence import Insistence
from wharfside_agent.services.intake import Intake
from wharfside_agent.services.janitor import keep_tidy
from wharfside_agent.services.journal import Journal
from wharfside_agent.services.lanes import Lanes
from wharfside_agent.services.mailroom import Mailroom
from wharfside_agent.services.presence import Presence
from wharfside_agent.services.projections import Projections
from wharfside_agent.services.publisher import Publisher
from wharfside_agent.services.recovery import Recovery
from wharfside_agent.services.reporter import Reporter
from wharfside_agent.services.runner import Runner
from wharfside_agent.services.tasks import Tasks
from wharfside_agent.settings import Settings
from wharfside_agent.store.writer import open_store
from wharfside_agent.watchers.subreaper import Sweeper
from wharfside_protocol import __version__
from wharfside_protocol.codec import encode
from wharfside_protocol.commands import OPS
from wharfside_protocol.envelope import Result
from wharfside_protocol.errors import Busy
from wharfside_protocol.events import EventType
from wharfside_protocol.subjects import Subjects
from wharfside_protocol.times import to_timestamp
from wharfside_protocol.views import NodeInfo

log = structlog.get_logger(__name__)

FLUSH_S = 2.0
"""On the way down the outbox gets so long to drain; the rest waits for the next life."""

WORK_S = 5.0
"""On the way down commands under way get so long to end."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What `run_agent` keeps in hand; the rest is held by these."""

    store: Store
    bus: NatsBus
    publisher: Publisher
    reporter: Reporter
    presence: Presence
    projections: Projections
    recovery: Recovery
    dispatcher: Dispatcher
    mailroom: Mailroom
    tasks: Tasks


async def run_agent(settings: Settings, journal: Journal) -> int:
    """One life of the agent; its exit status.

    Raises:
        StartError: it cannot start; nothing was changed.
    """
    places = Places(run_dir=settings.run_dir, state_dir=settings.state_dir)
    lock = host.lock_folder(places.lock)
    host.raise_file_limit()
    clock = host.SystemClock()
    machine = await make_machine(settings, places)
    store = open_store(places.store, settings.node.name, host.boot_id(), clock.now())
    async with AsyncExitStack() as stack:
        stack.callback(os.close, lock)
        stack.push_async_callback(store.close)
        parts = _compose(settings, places, clock, store, machine, journal)
        stack.push_async_callback(parts.tasks.close)
        return await _live(settings, parts, clock)


def _compose(
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
    exits = ExitTeller(containers, tasks, clock, journal)
    lanes = Lanes(settings.limits.lanes, settings.limits.lane_depth)
    endings = Endings(containers, machine.runtime, lanes, clock, journal)
    exits.then(endings.after_exit)
    bus = _bus(settings, store)
    publisher = Publisher(store, bus, subjects, clock, tasks)
    reporter = Reporter(store, bus, subjects, journal)
    projections = Projections(store, bus, clock)
    presence = Presence(
        _node_info(settings, store, machine, clock),
        bus,
        subjects,
        clock,
        containers,
        tasks,
        lambda: {"bus": "no-stream"} if publisher.no_stream or reporter.no_stream else {},
    )

    def told(lane: str) -> None:
        projections.acked(lane)
        presence.changed()

    publisher.on_idle(told)
    node = Node(
        store=store,
        clock=clock,
        runtime=machine.runtime,
        containers=containers,
        exits=exits,
        endings=endings,
        commands=commands,
        journal=journal,
        info=presence.info,
        cgroup_of=lambda incarnation: container_cgroup(machine.delegated, incarnation),
        bundle_of=lambda incarnation, run: str(RunPlace(places, incarnation, run).bundle),
    )
    runner = Runner(commands, lanes, clock, tasks, journal, HANDLERS, node)
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
        presence.changed,
    )
    presence.on_mailbox(lambda: mailroom.state)
    recovery = Recovery(store, machine.runtime, containers, exits, endings, commands, clock, tasks)
    return Parts(
        store,
        bus,
        publisher,
        reporter,
        presence,
        projections,
        recovery,
        dispatcher,
        mailroom,
        tasks,
    )


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


async def _live(settings: Settings, parts: Parts, clock: host.SystemClock) -> int:
    await parts.publisher.start()
    await _tell(parts.store, EventType.UP, clock)
    count = await parts.recovery.run()
    log.info("recovered", containers=count, epoch=parts.store.identity.epoch)
    waiting = await parts.mailroom.resume()
    log.info("mailbox-resumed", commands=waiting)
    subjects = Subjects(settings.nats.prefix)
    await parts.bus.serve(subjects.rpc_of(settings.node.name), parts.dispatcher.answer)
    await parts.presence.start()
    forever = [
        parts.tasks.start(parts.bus.run(), "bus"),
        parts.tasks.start(parts.projections.run(), "projections"),
        parts.tasks.start(parts.reporter.run(), "reporter"),
        parts.tasks.start(parts.mailroom.run(), "mailroom"),
        parts.tasks.start(keep_tidy(parts.store, clock), "janitor"),
        parts.tasks.start(Sweeper().run(), "sweeper"),
    ]
    parts.tasks.start(keep_alive(), "watchdog")
    notify("READY=1")
    log.info("ready", node=settings.node.name, version=__version__)
    return await _until_the_end(parts, clock, forever)


async def _until_the_end(
    parts: Parts, clock: host.SystemClock, forever: list[asyncio.Task[Any]]
) -> int:
    """Waits for a signal, a twin, or the end of a task that should have none."""
    asked = _asked_to_stop()
    twin = parts.presence.twin
    ends: set[asyncio.Future[Any]] = {asked, twin, *forever}
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    notify("STOPPING=1")
    if twin.done():
        other = twin.result()
        log.error(
            "twin-found",
            message=f"another agent is node {other.node} already (node_id {other.node_id}, "
            "older): give this one another node.name, or start it with --take-over; "
            "its containers are left as they are",
        )
        await parts.bus.close()
        return 1
    if not asked.done():
        log.error("task-ended", tasks=[task.get_name() for task in forever if task.done()])
        return 70
    await _go_down(parts, clock)
    return 0


async def _go_down(parts: Parts, clock: host.SystemClock) -> None:
    """Containers run on. What can still be told is told, within bounds."""
    log.info("going-down")
    parts.mailroom.close()
    await parts.bus.withdraw(WORK_S)
    await _tell(parts.store, EventType.DOWN, clock)
    if parts.bus.connected:
        await parts.presence.leave()
        await parts.publisher.flush(FLUSH_S)
        await parts.reporter.flush(FLUSH_S)
    await parts.bus.close()


def _asked_to_stop() -> asyncio.Future[None]:
    loop = asyncio.get_running_loop()
    asked: asyncio.Future[None] = loop.create_future()

    def stop() -> None:
        if not asked.done():
            asked.set_result(None)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    return asked


async def _tell(store: Store, type_: EventType, clock: host.SystemClock) -> None:
    now = clock.now()
    draft = EventDraft(type=type_, occurred_at=now, observed_at=now)
    await store.transact(lambda tx: tx.append_event(draft))


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
