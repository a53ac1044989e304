"""FIFOs on the node for a process's streams: containerd's first interface, for local tools.

The agent stands between them and the process, so that a tool that is slow, stopped or not there
delays nobody. It holds a FIFO of output open for both (fifo(7): Linux allows that), so that no
program waits in open(2), and what is in it outlives a reader that leaves.
"""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import Callable
from pathlib import Path

from wharfside_agent.ports.logs import Growth

READ_BYTES = 32 * 1024


class Openings:
    """Tells when a file is opened; the watch is there only while somebody waits."""

    def __init__(self, growth: Growth) -> None:
        self._growth = growth
        self._waiting = 0

    async def until(self, path: Path, done: Callable[[], bool]) -> None:
        """Until it is `done`, which is looked at after every opening."""
        self._waiting += 1
        try:
            while True:
                rung = asyncio.Event()
                end = self._growth.once(str(path), rung.set)
                try:
                    if done():
                        return
                    await rung.wait()
                finally:
                    end()
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._growth.close()


class OutFifo:
    """One that programs on the node read."""

    def __init__(self, path: Path, openings: Openings) -> None:
        """
        Raises:
            OSError: it cannot be opened.
        """
        self._path = path
        self._openings = openings
        self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    async def write(self, data: bytes) -> None:
        """Returns once it is in the FIFO, which takes 64 KiB ahead of its readers."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._fd, rest) :]
            except BlockingIOError:
                await _ready(self._fd, writing=True)

    async def finish(self) -> None:
        """Its end comes to a reader that is there, or else to the next, behind all the rest."""
        fd = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        os.close(self._fd)
        self._fd = fd
        await self._openings.until(self._path, self._is_read)
        self.close()

    def close(self) -> None:
        """Idempotent. What nobody has read is lost where no reader is there."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _is_read(self) -> bool:
        """Somebody else has it open: without a reader the writing side has an error (pipe(7))."""
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        return not any(event & select.POLLERR for _, event in poll.poll(0))


class InFifo:
    """One that programs on the node write; each that comes when none is there is a new writer."""

    def __init__(self, path: Path) -> None:
        """
        Raises:
            OSError: it cannot be opened.
        """
        self._path = path
        self._fd = self._opened()

    async def read(self) -> bytes:
        """The next that was written; b"": all writers have left, and the next may come."""
        await _ready(self._fd)
        data = os.read(self._fd, READ_BYTES)
        if not data:
            # Opened anew before the old one goes: a writer that is coming just now stays in it.
            before, self._fd = self._fd, self._opened()
            os.close(before)
        return data

    def close(self) -> None:
        """Idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _opened(self) -> int:
        return os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)


async def _ready(fd: int, *, writing: bool = False) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def seen() -> None:
        if not ready.done():
            ready.set_result(None)

    add, remove = (
        (loop.add_writer, loop.remove_writer) if writing else (loop.add_reader, loop.remove_reader)
    )
    add(fd, seen)
    try:
        await ready
    finally:
        remove(fd)
