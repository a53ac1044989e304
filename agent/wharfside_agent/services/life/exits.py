"""Tells how processes end: OOM before the exit it caused, execs before init, each once.

One task follows each process and one each container's OOM counter. The order of
events is kept here; every wait for another event has a bound (rule 11).
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import signal
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

import msgspec
import structlog

from wharfside_agent.core import lifecycle
from wharfside_agent.core.exit_status import interpret
from wharfside_agent.core.journal import Step
from wharfside_agent.core.lifecycle import Input
from wharfside_agent.errors import is_shortage
from wharfside_agent.ports.clock import Clock
from wharfside_agent.ports.process import Process
from wharfside_agent.ports.rows import EventDraft, ProcessRow
from wharfside_agent.ports.runtime import Container
from wharfside_agent.ports.watcher import Ended, MonitorGone, OomCounters
from wharfside_agent.services.journal import Journal
from wharfside_agent.services.life.containers import Containers
from wharfside_agent.services.life.live import Live, LiveProcess
from wharfside_agent.services.shortage import insist
from wharfside_agent.services.tasks import Tasks
from wharfside_protocol.errors import NotFound, WharfsideError
from wharfside_protocol.event_facts import Exited, MonitorLost, Oom
from wharfside_protocol.events import EventType
from wharfside_protocol.exits import ExitReason, ExitStatus
from wharfside_protocol.states import INIT, ProcessState
from wharfside_protocol.times import NANOSECONDS

log = structlog.get_logger(__name__)

ENDED_EXECS_KEPT = 64
"""Of a run, in memory and with their output: the youngest ones."""

EXECS_HOLD_S = 2.0
"""So long init's exit waits for its execs' own; then it names those still pending."""


class ExitTeller:
    """Follows processes from their birth, or from a reattach, to their told end."""

    def __init__(
        self, containers: Containers, tasks: Tasks, clock: Clock, journal: Journal
    ) -> None:
        self._containers = containers
        self._tasks = tasks
        self._clock = clock
        self._journal = journal
        self._after_exit: Callable[[Live], Awaitable[None]] | None = None
        self._after_monitor: Callable[[Live], Coroutine[Any, Any, None]] | None = None

    def then(self, after_exit: Callable[[Live], Awaitable[None]]) -> None:
        """`after_exit` runs after every told end of an init (auto-remove, restart policies)."""
        self._after_exit = after_exit

    def at_monitor_lost(self, act: Callable[[Live], Coroutine[Any, Any, None]]) -> None:
        """`act` runs beside the watch on a container whose init has lost its monitor."""
        self._after_monitor = act

    def follow(self, live: Live) -> None:
        """Follows a container's init and its OOM counter."""
        name = live.row.name
        live.init.follower = self._tasks.start(self._follow(live, live.init), f"exit of {name}")
        self._tasks.start(self._follow_oom(live, live.runtime), f"oom of {name}")

    def follow_exec(self, live: Live, process: LiveProcess) -> None:
        """Follows one; it is killed when its time is up, also in a later life of the agent."""
        row = process.row
        name = f"exit of {live.row.name}/{row.process}"
        process.follower = self._tasks.start(self._follow(live, process), name)
        if row.limit_s is not None:
            now = self._clock.now()
            spent_s = (now - (row.started_at or now)) / NANOSECONDS
            left_s = max(0.0, row.limit_s - spent_s)
            self._tasks.start(_end_in_time(process, left_s), f"limit of {row.process}")

    def let_go(self, live: Live) -> None:
        """Of those whose end a former life has told: their logs are whole, once seen to be over."""
        for process in live.processes.values():
            if process.handle is not None and process.row.exit is not None:
                name = f"end of {live.row.name}/{process.row.process}"
                self._tasks.start(_close_at_end(process.handle), name)

    def look_again(self, live: Live, process: LiveProcess) -> None:
        """For the relist: a doorbell that did not ring, or a follower that failed."""
        if process.handle is None:
            return
        process.handle.watch.look()
        if process.follower is None or process.follower.done():
            name = f"exit of {live.row.name}/{process.row.process}, again"
            process.follower = self._tasks.start(self._follow(live, process), name)

    async def _follow(self, live: Live, process: LiveProcess) -> None:
        assert process.handle is not None
        ended = await self._end_of(live, process, process.handle)
        process.seen_over = True
        self._journal.reached(Step.EXIT_SEEN)
        tell = self._tell_init if process.row.process == INIT else self._tell_exec
        what = f"exit of {live.row.name}/{process.row.process}"
        await insist(what, partial(tell, live, process, ended))
        self._journal.reached(Step.EXIT_COMMITTED)
        process.handle.close()
        if process.row.process == INIT and self._after_exit and not live.discarded:
            follow = partial(self._after_exit, live)
            await insist(f"what follows the exit of {live.row.name}", follow)

    async def _end_of(self, live: Live, process: LiveProcess, handle: Process) -> Ended:
        while True:
            told = await handle.watch.next()
            match told:
                case Ended():
                    return told
                case MonitorGone(watched_by=witness):
                    data = MonitorLost(pid=handle.pid, watched_by=witness)
                    tell = partial(self._tell_monitor_lost, live, process, data)
                    await insist(f"lost monitor of {live.row.name}", tell)
                    if handle.id == INIT and self._after_monitor is not None:
                        act = self._after_monitor(live)
                        self._tasks.start(act, f"monitor of {live.row.name}")

    async def _tell_monitor_lost(self, live: Live, process: LiveProcess, data: MonitorLost) -> None:
        """Once a monitor: a later life of the agent finds it dead, too.

        Settling: a start under way writes the same row.
        """
        async with live.settling:
            if process.row.monitor_lost:
                return
            row = msgspec.structs.replace(process.row, monitor_lost=True)
            type_, name = EventType.MONITOR_LOST, row.process
            draft = self._containers.draft(live.row, type_, data, process=name)
            await self._containers.commit(live, [draft], also=lambda tx, _row: tx.save_process(row))
            process.row = row

    async def _tell_init(self, live: Live, process: LiveProcess, ended: Ended) -> None:
        pending = await self._hold_for_execs(live)
        async with live.settling:
            if live.discarded or not _may_end(live, process.row.run):
                return
            counters, cpu_us = _last_figures(live)
            added = _kills_added(live, counters)
            blamed = _kills_to_blame(live, process.row, added)
            status = self._status(live, process.row, ended, blamed, counters, cpu_us)
            row = _ended_row(process.row, status)
            leaves = live.row.moving is not None and status.reason is ExitReason.CHECKPOINT
            await self._containers.advance(
                live,
                Input.LEAVE if leaves else Input.INIT_ENDED,
                Exited(**msgspec.structs.asdict(status), execs_pending=pending),
                changes={"exit": status, "oom_kills": live.row.oom_kills + added},
                process=INIT,
                occurred_at=ended.exited_at,
                before=[self._oom_draft(live, counters, added, status)] if added else (),
                also=lambda tx, _row: tx.save_process(row),
            )
        _resolve(process, row, status)

    async def _tell_exec(self, live: Live, process: LiveProcess, ended: Ended) -> None:
        status = self._status(live, process.row, ended, 0, None, None)
        row = _ended_row(process.row, status)
        draft = self._containers.draft(
            live.row,
            EventType.EXITED,
            Exited(**msgspec.structs.asdict(status)),
            process=row.process,
            occurred_at=ended.exited_at,
        )
        await self._containers.commit(live, [draft], also=lambda tx, _row: tx.save_process(row))
        _resolve(process, row, status)
        _forget_old_execs(live)

    async def _hold_for_execs(self, live: Live) -> list[str]:
        """Waits for the execs' own exits, bounded; the names of those still pending."""
        waiting = [process.ended for process in live.execs if not process.ended.done()]
        if waiting:
            await asyncio.wait(waiting, timeout=EXECS_HOLD_S)
        return [process.row.process for process in live.execs if not process.ended.done()]

    def _status(
        self,
        live: Live,
        row: ProcessRow,
        ended: Ended,
        oom_kills_added: int,
        counters: OomCounters | None,
        cpu_us: int | None,
    ) -> ExitStatus:
        asked = row.end_asked or live.row.end_asked
        timed_out = ended.timed_out or asked == ExitReason.TIMEOUT
        return interpret(
            dataclasses.replace(ended, timed_out=timed_out),
            end_asked=asked,
            oom_kills_added=oom_kills_added,
            started_at=row.started_at,
            memory_peak_bytes=None if counters is None else counters.peak_bytes,
            cpu_us=cpu_us,
        )

    async def _follow_oom(self, live: Live, run: Container) -> None:
        """Settling: the exit's own last look at the counter must not tell the same kill again."""
        async for counters in run.oom():
            await insist(f"oom of {live.row.name}", partial(self._tell_oom, live, run, counters))

    async def _tell_oom(self, live: Live, run: Container, counters: OomCounters) -> None:
        async with live.settling:
            added = _kills_added(live, counters)
            if added and live.handle is run and _may_end(live, live.row.run):
                draft = self._oom_draft(live, counters, added, None)
                changes = {"oom_kills": live.row.oom_kills + added}
                await self._containers.commit(live, [draft], changes=changes)

    def _oom_draft(
        self, live: Live, counters: OomCounters | None, added: int, status: ExitStatus | None
    ) -> EventDraft:
        assert counters is not None
        data = Oom(
            oom_kills=counters.oom_kills,
            oom_kills_added=added,
            oom_events=counters.oom_events,
            limit_bytes=counters.limit_bytes,
            peak_bytes=counters.peak_bytes,
            init_was_victim=None if status is None else status.oom_killed,
        )
        return self._containers.draft(live.row, EventType.OOM, data)


async def _close_at_end(handle: Process) -> None:
    while not isinstance(await handle.watch.next(), Ended):
        pass
    handle.close()


async def _end_in_time(process: LiveProcess, timeout_s: float) -> None:
    done, _ = await asyncio.wait({process.ended}, timeout=timeout_s)
    if not done and process.handle is not None:
        process.row = msgspec.structs.replace(process.row, end_asked=str(ExitReason.TIMEOUT))
        with contextlib.suppress(NotFound):
            process.handle.signal(signal.SIGKILL)


def _forget_old_execs(live: Live) -> None:
    """Their records stay in the store; a health check every second must not fill memory."""
    ended = [process for process in live.execs if process.row.exit is not None]
    for process in ended[:-ENDED_EXECS_KEPT]:
        del live.processes[process.row.process]
        if process.handle is not None:
            process.handle.discard()


def _may_end(live: Live, run: int) -> bool:
    """The first terminal status wins: a container that is stopped already tells no second.

    Nor does the end of a run whose start was refused become that of the next one.
    """
    return live.row.run == run and (live.row.state, Input.INIT_ENDED) in lifecycle.TABLE


def _last_figures(live: Live) -> tuple[OomCounters | None, int | None]:
    """The cgroup once more before the exit is told: it outlives its last process."""
    try:
        return live.runtime.oom_counters(), live.runtime.cpu_us()
    except (NotFound, WharfsideError, OSError) as error:
        if is_shortage(error):  # without its figures an exit may miss the kill that caused it
            raise
        log.warning("no-last-figures", container=live.row.name, error=str(error))
        return None, None


def _kills_added(live: Live, counters: OomCounters | None) -> int:
    return 0 if counters is None else max(0, counters.oom_kills - live.row.oom_kills)


def _kills_to_blame(live: Live, row: ProcessRow, added: int) -> int:
    """Kills that a SIGKILL of init may come from: the watcher may have told them already.

    Where its end was asked for, only those that nobody has told: an exec's OOM of an
    hour ago does not make a stop one.
    """
    asked = row.end_asked or live.row.end_asked
    return added if asked else live.row.oom_kills + added


def _ended_row(row: ProcessRow, status: ExitStatus) -> ProcessRow:
    return msgspec.structs.replace(row, state=ProcessState.EXITED, exit=status)


def _resolve(process: LiveProcess, row: ProcessRow, status: ExitStatus) -> None:
    process.row = row
    if not process.ended.done():
        process.ended.set_result(status)
