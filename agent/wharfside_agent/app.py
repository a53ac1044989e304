"""One life of the agent: what is started in which order, and how it ends.

Truth first, bus last: the store is opened and the containers are found again before
a command is taken, and whether or not there is a server.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import structlog

from wharfside_agent import host
from wharfside_agent.composition.observing import metrics_socket, open_pages
from wharfside_agent.composition.parts import Parts
from wharfside_agent.composition.reload import Reload
from wharfside_agent.composition.tracing import start_tracing
from wharfside_agent.core.placement import Places
from wharfside_agent.machine import make_machine
from wharfside_agent.notify import keep_alive, notify
from wharfside_agent.ports.rows import EventDraft
from wharfside_agent.ports.store import Store
from wharfside_agent.services.commands.admission import keep_room
from wharfside_agent.services.journal import Journal
from wharfside_agent.services.migration.moves_answered import adopt_moves
from wharfside_agent.services.recovery.janitor import keep_tidy
from wharfside_agent.settings import Settings
from wharfside_agent.store.opening import open_store
from wharfside_agent.watchers.subreaper import Sweeper
from wharfside_protocol import __version__
from wharfside_protocol.events import EventType
from wharfside_protocol.subjects import Subjects

log = structlog.get_logger(__name__)

FLUSH_S = 2.0
"""On the way down the outbox gets so long to drain; the rest waits for the next life."""

SESSIONS_S = 1.0
"""On the way down the peers of sessions are told within so long."""

WORK_S = 5.0
"""On the way down commands under way get so long to end."""


async def run_agent(settings: Settings, journal: Journal, load: Callable[[], Settings]) -> int:
    """One life of the agent; its exit status. `load` reads the settings again, at SIGHUP.

    Raises:
        StartError: it cannot start; nothing was changed.
    """
    # An early one would end us, and the settings have just been read
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    places = Places(run_dir=settings.run_dir, state_dir=settings.state_dir)
    lock = host.lock_folder(places.lock)
    host.raise_file_limit()
    pages = metrics_socket(settings)
    clock = host.SystemClock()
    machine = await make_machine(settings, places)
    store = open_store(
        places.store,
        settings.node.name,
        host.boot_id(),
        clock.now(),
        max_events=settings.outbox.max_events,
        reserve_bytes=settings.disk.reserve_mib * 1024 * 1024,
    )
    async with AsyncExitStack() as stack:
        stack.callback(os.close, lock)
        stack.push_async_callback(store.close)
        if (end_tracing := start_tracing(settings, store.identity)) is not None:
            stack.push_async_callback(end_tracing)
        parts = Parts(settings, places, clock, store, machine, journal)
        stack.push_async_callback(parts.tasks.close)
        if pages is not None:
            stack.callback((await open_pages(parts, pages)).close)
        _reload_at_hangup(Reload(parts, load, places.reloaded))
        return await _live(settings, parts, clock)


async def _live(settings: Settings, parts: Parts, clock: host.SystemClock) -> int:
    identity = parts.store.identity
    held = identity.new_boot or identity.moved
    if held:
        # The store may be a copy: what recovery finds here says nothing of the original's
        # containers.
        log.info("events-held", new_boot=identity.new_boot, moved=identity.moved)
        parts.publisher.hold()
    await parts.publisher.start()
    await _tell(parts.store, EventType.UP, clock)
    await _recover(parts)
    await _open_to_the_bus(settings, parts)
    if held:
        parts.tasks.start(_release_when_alone(parts), "release")
    forever = _work_for_ever(parts, clock)
    parts.tasks.start(keep_alive(), "watchdog")
    # What the start has made lives as long as the agent: going through it each time would hold
    # the loop for 12 ms.
    gc.freeze()
    notify("READY=1")
    log.info("ready", node=settings.node.name, version=__version__)
    return await _until_the_end(parts, clock, forever)


async def _recover(parts: Parts) -> None:
    """What the former life left: read, looked for on the machine, finished or undone."""
    await parts.drain.load()
    await parts.heard.load()
    await parts.departures.load()
    await parts.arrivals.load()
    await adopt_moves(parts.departures, parts.commands, parts.store, parts.tasks)
    parts.carriage.hear(parts.arrivals.hear, parts.departures.hear)
    count = await parts.recovery.run()
    await parts.shipping.resume()
    await parts.disconnects.look()
    await parts.drain.go_on()
    parts.recovered = True
    log.info("recovered", containers=count, epoch=parts.store.identity.epoch)


async def _open_to_the_bus(settings: Settings, parts: Parts) -> None:
    """Only now: whoever asks is told of what recovery has settled."""
    waiting = await parts.mailroom.resume()
    log.info("mailbox-resumed", commands=waiting)
    subjects = Subjects(settings.nats.prefix)
    await parts.bus.serve(subjects.rpc_of(settings.node.name), parts.dispatcher.answer)
    await parts.sessions.start()
    await parts.presence.start()
    parts.departures.resume()
    parts.arrivals.resume()


def _work_for_ever(parts: Parts, clock: host.SystemClock) -> list[asyncio.Task[Any]]:
    """What has no end but the agent's: where one of these ends, so does the agent."""
    return [
        parts.tasks.start(parts.bus.run(), "bus"),
        parts.tasks.start(parts.projections.run(), "projections"),
        parts.tasks.start(parts.reporter.run(), "reporter"),
        parts.tasks.start(_collect_mail(parts), "mailroom"),
        parts.tasks.start(_carry(parts), "carriage"),
        parts.tasks.start(parts.arrivals.run(), "arrivals"),
        parts.tasks.start(parts.disconnects.run(), "disconnects"),
        parts.tasks.start(keep_tidy(parts.store, clock), "janitor"),
        parts.tasks.start(Sweeper().run(), "sweeper"),
        parts.tasks.start(parts.relist.run(), "relist"),
        parts.tasks.start(parts.pressure.run(), "pressure"),
        parts.tasks.start(parts.snapshots.run(), "snapshots"),
        parts.tasks.start(parts.audit.run(), "audit"),
        parts.tasks.start(parts.credentials.run(), "credentials"),
        parts.tasks.start(keep_room(parts.store), "disk room"),
        parts.tasks.start(parts.loop_watch.run(), "loop watch"),
    ]


def _reload_at_hangup(reload: Reload) -> None:
    def hangup() -> None:
        # RELOADING=1 needs the time, so that a manager knows READY=1 for the answer to it
        notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            reload.run()
        finally:
            notify("READY=1")

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, hangup)


async def _release_when_alone(parts: Parts) -> None:
    """Lets events go once it is clear that no other life of this node is on the bus."""
    await parts.presence.alone()
    parts.publisher.release()


async def _collect_mail(parts: Parts) -> None:
    """Only once it is clear that we are alone: a copy must not take the original's letters."""
    await parts.publisher.released.wait()
    await parts.mailroom.run()


async def _carry(parts: Parts) -> None:
    """Only once it is clear that we are alone, as the mail."""
    await parts.publisher.released.wait()
    await parts.carriage.run()


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
            "older): give this one another node.name (and where the node_id is the same, a "
            "data folder that is not a copy), or start it with --take-over; "
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
    parts.commands.go_down()
    parts.going_down.set_result(None)
    await parts.sessions.close(SESSIONS_S)
    await parts.archives.close()
    await parts.bus.withdraw(WORK_S)
    await parts.audit.tell(last=True)
    await _tell(parts.store, EventType.DOWN, clock)
    if parts.bus.connected:
        await parts.presence.leave()
        await parts.publisher.flush(FLUSH_S)
        await parts.reporter.flush(FLUSH_S)
    parts.arrivals.close()
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
