"""Sessions at processes: who has whose input, and the events that tell it.

Input is one session's at a time. Nothing here is waited for by the end of a process.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from wharfside_agent.ports.io import Carried, LiveSource
from wharfside_agent.ports.logs import LogName, Logs, LogWish
from wharfside_agent.services.life.containers import Containers
from wharfside_agent.services.life.live import Live
from wharfside_agent.services.streams.process_io import ProcessInput, ProcessOutput, Target
from wharfside_agent.services.tasks import Tasks
from wharfside_protocol.errors import Invalid, NotFound, WharfsideError, WrongState
from wharfside_protocol.event_facts import Attached, Detached
from wharfside_protocol.events import EventType
from wharfside_protocol.io_commands import Opening, TerminalSize
from wharfside_protocol.io_frames import Position
from wharfside_protocol.records import Record
from wharfside_protocol.states import ContainerState, ProcessState


@dataclass(frozen=True, slots=True)
class Wish:
    """What a session wants of a process. `output` from now on, from `position`, or the `whole`."""

    opening: Opening
    command: str
    actor: str | None = None
    stdin: bool = False
    output: bool = True
    position: Position | None = None
    whole: bool = False
    take: bool = False
    size: TerminalSize | None = None


@dataclass(frozen=True, slots=True)
class _Writer:
    """The session that has a process's input; `taken`: done, it must leave."""

    opening: Opening
    taken: asyncio.Future[WharfsideError]


class Attachments:
    def __init__(self, containers: Containers, logs: Logs, tasks: Tasks) -> None:
        self._containers = containers
        self._logs = logs
        self._tasks = tasks
        self._writers: dict[tuple[str, int, str], _Writer] = {}

    def target(self, live: Live, name: str) -> Target:
        """A process that runs, or waits for its start.

        Raises:
            NotFound: there is none of that name.
            WrongState: it does not run.
        """
        process = live.processes.get(name)
        if process is None:
            raise NotFound(f"{live.row.name} has no process {name}: see list-processes")
        alive = process.row.state in (ProcessState.CREATED, ProcessState.RUNNING)
        if not alive or process.handle is None or live.row.state is ContainerState.STOPPED:
            raise WrongState(
                f"{live.row.name}/{name} does not run: its output is in `logs`",
                state=str(live.row.state),
            )
        return Target(live, process, live.row.run)

    async def attach(self, target: Target, wish: Wish) -> Carried:
        """What a session at `target` carries; it holds the input until it is closed.

        Raises:
            WrongState: the process takes no input, or no more; or another session has it, and
                `take` was not asked for.
            Unsupported: a size for what is no terminal.
            Invalid: a position of another run, or behind the log's end.
        """
        handle = target.process.handle
        assert handle is not None
        self._writer_before(target, wish)  # who is refused resizes nobody's terminal
        if wish.size is not None:
            await handle.streams.resize(wish.size.rows, wish.size.columns)
        output = ProcessOutput(target, self._output(target, wish) if wish.output else None)
        tty = handle.streams.io.tty
        try:
            sink = self._input(target, wish, output)
        except BaseException:
            output.close()
            raise
        if wish.stdin or tty:
            try:
                await self._tell_attached(target, wish, tty)
            except BaseException:
                output.close()
                sink.close()
                raise
        return Carried(output, sink, input=wish.stdin, tty=tty, failed=sink.taken)

    def _output(self, target: Target, wish: Wish) -> LiveSource:
        assert target.process.handle is not None
        streams = target.process.handle.streams
        if not streams.io.log:
            if wish.position is not None:
                raise Invalid("this process has no log, so there are no positions")
            return streams.unlogged(whole=wish.whole)
        name = LogName(target.live.row.incarnation, target.run, target.name)
        if wish.position is None:
            offset = 0 if wish.whole else self._logs.end(name)
        elif wish.position.run == target.run:
            offset = wish.position.offset
        else:
            raise Invalid(
                f"that position is of run {wish.position.run}, this is run {target.run}: see `logs`"
            )
        return self._logs.source(name, LogWish(offset=offset, follow=True))

    def _writer_before(self, target: Target, wish: Wish) -> _Writer | None:
        """
        Raises:
            WrongState: the input is not to be had.
        """
        assert target.process.handle is not None
        fifos = target.process.handle.fifos
        if wish.stdin and fifos is not None:
            raise WrongState(f"this process's input is the FIFO {fifos.stdin} on its node")
        before = self._writers.get(_key(target)) if wish.stdin else None
        if before is not None and not wish.take:
            # Not `busy`: that a client repeats by itself, and nobody waits for a person to leave.
            raise WrongState(
                f"{before.opening.peer} has the input of {target.live.row.name}/{target.name}: "
                "attach without `stdin`, or with `take` to have it instead",
                peer=before.opening.peer,
                session=before.opening.session,
            )
        return before

    def _input(self, target: Target, wish: Wish, output: ProcessOutput) -> ProcessInput:
        key, before = _key(target), self._writer_before(target, wish)

        def left() -> None:
            if self._writers.get(key) is writer:
                del self._writers[key]
            if wish.stdin or tty:
                self._tasks.start(self._tell_detached(target, wish), f"detached {target.name}")

        assert target.process.handle is not None
        tty = target.process.handle.streams.io.tty
        # a terminal's keys must come through whatever it prints: ctrl-c most of all
        keeps_up = None if tty else output.keeps_up
        sink = ProcessInput(
            target, self._containers, stdin=wish.stdin, left=left, keeps_up=keeps_up
        )
        writer = _Writer(wish.opening, sink.taken)
        if wish.stdin:
            self._writers[key] = writer
        if before is not None and not before.taken.done():
            before.taken.set_result(
                WrongState(f"{wish.opening.peer} has taken over the input", peer=wish.opening.peer)
            )
        return sink

    async def _tell_attached(self, target: Target, wish: Wish, tty: bool) -> None:
        data = Attached(
            peer=wish.opening.peer,
            session=wish.opening.session,
            actor=wish.actor,
            stdin=wish.stdin,
            tty=tty,
        )
        await self._tell(target, EventType.ATTACHED, data, wish.command)

    async def _tell_detached(self, target: Target, wish: Wish) -> None:
        data = Detached(peer=wish.opening.peer, session=wish.opening.session)
        await self._tell(target, EventType.DETACHED, data, wish.command)

    async def _tell(self, target: Target, type_: EventType, data: Record, cause: str) -> None:
        """Nothing is told of a process whose end is: that ends its sessions."""

        def lives_still() -> None:
            if target.over:
                raise _Over

        live = target.live
        draft = self._containers.draft(live.row, type_, data, process=target.name, cause=cause)
        with suppress(_Over):
            await self._containers.commit(live, [draft], guard=lives_still)


def _key(target: Target) -> tuple[str, int, str]:
    return target.live.row.incarnation, target.run, target.name


class _Over(Exception):
    """The process ended while other changes were committed."""
