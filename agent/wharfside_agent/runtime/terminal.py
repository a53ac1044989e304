"""The size of a process's terminal, by way of conmon's control FIFO."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from functools import partial
from pathlib import Path

from wharfside_agent.runtime.ctl import tell, unread
from wharfside_protocol.errors import RuntimeFailed

SECONDS = 5.0
"""conmon reads at once; one that does not hangs, or waits for a client that does not read."""

LOOK_SECONDS = 0.001
"""conmon takes some tenths of that."""


class Terminal:
    """Of one process; `folder` is the bundle of its conmon."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._turn = asyncio.Lock()
        self._size = (0, 0)

    async def resize(self, rows: int, columns: int) -> None:
        """The last of several wins; those before may be left out.

        Raises:
            RuntimeFailed: conmon is gone, or does not read.
        """
        self._size = (rows, columns)
        async with self._turn:
            if self._size != (rows, columns):
                return
            try:
                async with asyncio.timeout(SECONDS):
                    await self._tell(f"1 {rows} {columns}\n".encode())
            except TimeoutError as error:
                raise RuntimeFailed(
                    f"conmon does not read {self._folder / 'ctl'} for {SECONDS:.0f} s: "
                    "is it stopped?"
                ) from error
            except OSError as error:
                gone = error.errno in (errno.ENXIO, errno.ENOENT)
                reason = "conmon is gone" if gone else str(error.strerror)
                raise RuntimeFailed(f"the terminal has no size any more: {reason}") from error

    async def _tell(self, line: bytes) -> None:
        """Twice: conmon hands a size on to itself by another FIFO, `winsz`, where it may meet the
        one before and be lost, too. The kernel tells programs of a new size alone.
        """
        for _ in range(2):
            await _until(self._is_read)
            await _until(partial(tell, self._folder, line))
        await _until(self._is_read)

    def _is_read(self) -> bool:
        return not any(unread(self._folder, name) for name in ("ctl", "winsz"))


async def _until(done: Callable[[], bool]) -> None:
    while not done():  # noqa: ASYNC110 - nothing tells that a FIFO was read
        await asyncio.sleep(LOOK_SECONDS)
