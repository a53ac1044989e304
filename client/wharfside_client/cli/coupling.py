"""Our own stdin, stdout and stderr, coupled to a process's, until one of both is over."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

from wharfside_client.cli.descriptors import Input, Output
from wharfside_client.cli.keys import DetachKeys
from wharfside_client.cli.loglines import marker
from wharfside_client.cli.terminal import RawTerminal
from wharfside_client.errors import SessionEnded
from wharfside_protocol.exits import ExitStatus
from wharfside_protocol.io_frames import Chunk, Exit, Lost, StreamName

T = TypeVar("T")

STDIN, STDOUT, STDERR = 0, 1, 2
RESIZE_EVERY_S = 0.05
"""A window that is dragged changes its size at each cell."""

DRAIN_S = 1.0


class Remote(Protocol):
    """The session with the process, as far as it is needed here."""

    def __aiter__(self) -> AsyncIterator[Chunk | Lost | Exit]: ...
    async def write(self, data: bytes) -> None: ...
    async def end(self) -> None: ...
    async def drain(self) -> None: ...
    async def resize(self, rows: int, columns: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Parting:
    """How the coupling ended: with the process, by keys, or by a signal to us."""

    exit: ExitStatus | None = None
    detached: bool = False
    left: signal.Signals | None = None


async def first(*works: Coroutine[None, None, T | None]) -> T | None:
    """The first result that is not None, or the first error; the others are canceled."""
    tasks = {asyncio.ensure_future(work) for work in works}
    waiting = set(tasks)
    try:
        while waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if (result := task.result()) is not None:
                    return result
        return None
    finally:
        for task in tasks:
            task.cancel()
        # gathered, not only waited for: two may fail for one reason, and one of them is told
        await asyncio.gather(*tasks, return_exceptions=True)


class Coupling:
    """Use it as a context: a terminal is raw meanwhile.

    `stdin`: what is typed goes to the process, in raw mode where `tty`; `keys`: what detaches.
    """

    def __init__(self, remote: Remote, *, stdin: bool, tty: bool, keys: bytes) -> None:
        self._remote = remote
        self._wants_stdin = stdin
        self._tty = tty
        self._keys = DetachKeys(keys if tty else b"")
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """
        Raises:
            LocalFailed: a descriptor is not open.
            NoTerminal: stdin is none.
        """
        with ExitStack() as stack:
            out = stack.enter_context(closing(Output(STDOUT)))
            err = stack.enter_context(closing(Output(STDERR)))
            self._outputs = {StreamName.STDOUT: out, StreamName.STDERR: err}
            self._stdin = stack.enter_context(closing(Input(STDIN))) if self._wants_stdin else None
            raw = self._wants_stdin and self._tty
            self._terminal = stack.enter_context(RawTerminal(STDIN)) if raw else None
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    async def run(self) -> Parting:
        """Until the process is over, or keys detach.

        Raises:
            WharfsideError: the session cannot go on.
            LocalFailed, BrokenPipeError: our own output cannot be written.
        """
        return await first(self._show(), self._type(), self._resize()) or Parting()

    async def _show(self) -> Parting:
        exit_: ExitStatus | None = None
        async for item in self._remote:
            match item:
                case Chunk():
                    await self._outputs[item.stream].write(item.data)
                case Lost():
                    newline = "\r\n" if self._terminal else "\n"
                    await self._outputs[StreamName.STDERR].write(marker(item.count, newline))
                case Exit():
                    exit_ = item.exit
        return Parting(exit=exit_)

    async def _type(self) -> Parting | None:
        if self._stdin is None:
            return None
        with contextlib.suppress(SessionEnded):  # the process has ended: `_show` tells how
            while typed := await self._stdin.read():
                if passed := self._keys.feed(typed):
                    await self._remote.write(passed)
                if self._keys.found:
                    await self._drain()
                    return Parting(detached=True)
            if self._terminal is not None:
                return Parting(left=signal.SIGHUP)  # it is gone
            await self._remote.end()
        return None

    async def _drain(self) -> None:
        """What was typed before we leave still goes to the process, if it takes it soon."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                await self._remote.drain()

    async def _resize(self) -> None:
        while self._terminal is not None:
            size = await self._terminal.resized()
            if size is not None:
                with contextlib.suppress(SessionEnded):
                    await self._remote.resize(size.rows, size.columns)
            await asyncio.sleep(RESIZE_EVERY_S)
