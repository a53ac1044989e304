"""conmon's control FIFO: the terminal's size, and the log opened anew.

conmon takes every line that it finds in one read for the first of them (ctrl.c,
read_from_ctrl_buffer, up to 2.2.1), so a line is written only when it has read the one before;
and the same holds for the FIFO by which it passes sizes on to itself.
"""

from __future__ import annotations

import array
import asyncio
import errno
import fcntl
import os
import termios
from collections.abc import Coroutine
from pathlib import Path

from wharfside_protocol.errors import RuntimeFailed

SECONDS = 5.0
"""conmon reads at once; one that does not hangs, or waits for a client that does not read."""

_LOOK_SECONDS = 0.001
"""Nothing tells that a FIFO was read."""


class Ctl:
    """The control FIFO of one process. One line at a time, whoever sends."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._turn = asyncio.Lock()
        self._size = (0, 0)

    async def resize(self, rows: int, columns: int) -> None:
        """The last of several wins; the others may be left out.

        Twice: between conmon's two FIFOs a size may still meet the one before and be lost. The
        kernel tells the programs of a new size alone, so the second is not seen.

        Raises:
            RuntimeFailed: conmon is gone, or does not read.
        """
        self._size = (rows, columns)
        async with self._turn:
            for _ in range(2):
                if self._size == (rows, columns):
                    await self._send(f"1 {rows} {columns}\n")

    async def reopen_log(self) -> None:
        """Returns once conmon has read it; the new file is there a moment later.

        Raises:
            RuntimeFailed: as `resize`.
        """
        async with self._turn:
            await self._send("2 0 0\n")

    async def idle(self) -> None:
        """Returns once conmon has read every line.

        Raises:
            RuntimeFailed: as `resize`.
        """
        await self._bounded(self._wait())

    async def _send(self, line: str) -> None:
        await self._bounded(self._wait(line.encode()))

    async def _bounded(self, work: Coroutine[None, None, None]) -> None:
        try:
            async with asyncio.timeout(SECONDS):
                await work
        except TimeoutError as error:
            raise RuntimeFailed(
                f"conmon does not read {self._folder / 'ctl'} for {SECONDS:.0f} s: is it stopped?"
            ) from error
        except OSError as error:
            gone = error.errno in (errno.ENXIO, errno.ENOENT)
            reason = "conmon is gone" if gone else str(error.strerror)
            raise RuntimeFailed(f"cannot write to {self._folder / 'ctl'}: {reason}") from error

    async def _wait(self, line: bytes = b"") -> None:
        """Until all was read; then for `line`, too."""
        fds = []
        try:
            for name in ("ctl", "winsz"):
                fds.append(_open(self._folder / name))
            await _read_by_conmon(fds)
            if line:
                os.write(fds[0], line)
                await _read_by_conmon(fds)
        finally:
            for fd in fds:
                os.close(fd)


async def _read_by_conmon(fds: list[int]) -> None:
    while any(_unread(fd) for fd in fds):  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(_LOOK_SECONDS)


def _open(fifo: Path) -> int:
    return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)


def _unread(fd: int) -> int:
    count = array.array("i", [0])
    fcntl.ioctl(fd, termios.FIONREAD, count)
    return count[0]
