"""The loop's end of a pipe whose other end a thread has: the kernel bounds what is between."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable


class _End:
    """Not thread-safe: the loop's alone."""

    def __init__(self, fd: int) -> None:
        os.set_blocking(fd, False)
        self._fd = fd
        self._ready: asyncio.Future[None] | None = None

    @property
    def closed(self) -> bool:
        return self._fd < 0

    def close(self) -> None:
        """Whoever waits goes on; the thread at the other end finds it broken. Idempotent."""
        if self.closed:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._fd)
        loop.remove_writer(self._fd)
        os.close(self._fd)
        self._fd = -1
        self._wake()

    async def _wait(self, add: Callable[[int, Callable[[], None]], object]) -> None:
        self._ready = asyncio.get_running_loop().create_future()
        add(self._fd, self._wake)
        await self._ready

    def _wake(self) -> None:
        if self._ready is not None and not self._ready.done():
            self._ready.set_result(None)


class ReadEnd(_End):
    async def read(self, most: int) -> bytes:
        """Some bytes, as soon as there are any; b"": the other end, or this one, is closed."""
        loop = asyncio.get_running_loop()
        while not self.closed:
            try:
                return os.read(self._fd, most)
            except BlockingIOError:
                pass
            try:
                await self._wait(loop.add_reader)
            finally:
                if not self.closed:
                    loop.remove_reader(self._fd)
        return b""


class WriteEnd(_End):
    async def write(self, data: bytes) -> None:
        """Returns once all is in the pipe.

        Raises:
            BrokenPipeError: nobody reads any more, or this end is closed.
        """
        loop = asyncio.get_running_loop()
        rest = memoryview(data)
        while rest and not self.closed:
            try:
                rest = rest[os.write(self._fd, rest) :]
                continue
            except BlockingIOError:
                pass
            try:
                await self._wait(loop.add_writer)
            finally:
                if not self.closed:
                    loop.remove_writer(self._fd)
        if rest:
            raise BrokenPipeError
