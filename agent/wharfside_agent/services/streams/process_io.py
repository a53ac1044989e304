"""What a session carries of a process: its output up to its end, its input, its terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from wharfside_agent.core.signals import signal_number
from wharfside_agent.ports.io import LiveSource, Missing, Over, Piece
from wharfside_agent.services.life.containers import Containers
from wharfside_agent.services.life.live import Live, LiveProcess
from wharfside_agent.services.life.signals import signal_target, tell_signal
from wharfside_protocol.errors import NotFound, RuntimeFailed, WharfsideError, WrongState
from wharfside_protocol.states import ContainerState

BEHIND_BYTES = 256 * 1024
"""A session that has so much output to read yet gives no more input: so whoever pipes through a
process loses nothing of what comes out, since it is what went in that fills the log or the ring."""

STOPPED, DELETED = ContainerState.STOPPED, ContainerState.DELETED


@dataclass(frozen=True, slots=True)
class Target:
    """A process of one run; `live` may have gone on to the next."""

    live: Live
    process: LiveProcess
    run: int

    @property
    def name(self) -> str:
        return self.process.row.process

    @property
    def over(self) -> bool:
        """Its end is told, or about to be, or its container's was."""
        row = self.live.row
        gone = row.run != self.run or row.state in (STOPPED, DELETED)
        return gone or self.process.seen_over or self.process.ended.done()


class ProcessOutput:
    """ports.io.Source: what `output` gives, then the process's end. None: the end alone."""

    def __init__(self, target: Target, output: LiveSource | None) -> None:
        self._target = target
        self._output = output
        self._stopped = asyncio.get_running_loop().create_future()
        self._told = False
        self._has_read = asyncio.Event()

    async def read(self, most: int) -> Piece | Missing | Over | None:
        if self._output is not None and not self._stopped.done():
            item = await self._output.read(most)
            self._has_read.set()
            if item is not None:
                return item
        if not self._told:
            await asyncio.wait(
                {self._target.process.ended, self._stopped}, return_when=asyncio.FIRST_COMPLETED
            )
        return self._end()

    async def keeps_up(self) -> None:
        """Returns once no more than BEHIND_BYTES are there to be read, or nobody reads them."""
        while self._output is not None and not self._stopped.done():
            if self._output.behind() <= BEHIND_BYTES:
                return
            self._has_read.clear()
            await self._has_read.wait()

    def close(self) -> None:
        if self._output is not None:
            self._output.close()
        if not self._stopped.done():
            self._stopped.set_result(None)
        self._has_read.set()

    def _end(self) -> Over | None:
        """Nothing is told of one that was deleted before it ran."""
        ended = self._target.process.ended
        if self._told or not ended.done() or ended.cancelled():
            return None
        self._told = True
        row = self._target.process.row
        return Over(row.process, row.incarnation, row.run, ended.result())


class ProcessInput:
    """ports.io.Sink: stdin, where the session has it; the terminal's size; signals.

    `taken` is done once another session has the input, which then does not end with this one.
    """

    def __init__(
        self,
        target: Target,
        containers: Containers,
        *,
        stdin: bool,
        left: Callable[[], None],
        keeps_up: Callable[[], Awaitable[None]] | None,
    ) -> None:
        """`left` is called once, when the session is over; `keeps_up` before each write.

        Raises:
            WrongState: the process takes no input, or no more.
        """
        assert target.process.handle is not None
        self._target = target
        self._containers = containers
        self._streams = target.process.handle.streams
        self._stdin = stdin
        self._left = left
        self._keeps_up = keeps_up
        self.taken: asyncio.Future[WharfsideError] = asyncio.get_running_loop().create_future()
        self._closed = False
        if stdin:
            with suppress(RuntimeFailed):  # over: what is written is dropped
                self._streams.open_input()

    async def write(self, data: bytes) -> None:
        if self._keeps_up is not None:
            await self._keeps_up()
        if self.taken.done():
            raise self.taken.result()
        await self._streams.write(data)

    async def eof(self) -> None:
        if self._stdin and not self.taken.done():
            self._streams.end_input()

    async def resize(self, rows: int, columns: int) -> None:
        """The window of a session whose process is over may change still."""
        try:
            await self._streams.resize(rows, columns)
        except RuntimeFailed:
            if not self._target.over:
                raise

    async def signal(self, name: str) -> None:
        """As the op `signal`; one that comes too late is dropped."""
        number = signal_number(name)
        live = self._target.live
        try:
            process = signal_target(live, self._target.name)
            if self._target.over or process is not self._target.process:
                return
            await tell_signal(self._containers, live, process, number)
            assert process.handle is not None
            process.handle.signal(number)
        except (NotFound, WrongState):
            return

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._stdin and not self.taken.done():
            self._streams.end_input()
        self._left()
