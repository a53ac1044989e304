"""This process's own stdin, stdout and stderr, read and written in the loop.

No thread: one that waits in `read` cannot be canceled. And no O_NONBLOCK on what was
inherited: the shell and its other commands share it. A terminal or a pipe is opened once
more instead, so that the flag is ours alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import select
import stat
from collections.abc import Callable

from wharfside_client.cli.errors import LocalFailed

READ_BYTES = 32 * 1024


class Input:
    """A descriptor that is read; closing it leaves the inherited one open."""

    def __init__(self, fd: int) -> None:
        """
        Raises:
            LocalFailed: `fd` is not open.
        """
        self._fd = _own(fd, os.O_RDONLY)

    async def read(self, most: int = READ_BYTES) -> bytes:
        """What is there, as soon as anything is; empty at the end.

        Raises:
            LocalFailed: it cannot be read.
        """
        loop = asyncio.get_running_loop()
        while True:
            await _ready(self._fd, loop.add_reader, loop.remove_reader)
            try:
                return os.read(self._fd, most)
            except BlockingIOError:
                continue  # another reader of the same pipe was first
            except OSError as error:
                if error.errno == errno.EIO:
                    return b""  # the terminal is gone
                raise LocalFailed(f"stdin cannot be read: {error.strerror}") from error

    def close(self) -> None:
        os.close(self._fd)


class Output:
    """A descriptor that is written; whoever reads it slowly holds up `write` alone."""

    def __init__(self, fd: int) -> None:
        """
        Raises:
            LocalFailed: `fd` is not open.
        """
        self._fd = _own(fd, os.O_WRONLY)
        self._blocks = os.get_blocking(self._fd)
        # poll's promise for a pipe that may block: so much can be written
        self._most = select.PIPE_BUF if self._blocks else READ_BYTES

    async def write(self, data: bytes) -> None:
        """Returns when all of it is written.

        Raises:
            BrokenPipeError: nobody reads it any more.
            LocalFailed: it cannot be written, as on a full disk.
        """
        left = memoryview(data)
        while left:
            if self._blocks:
                await self._room()
            try:
                left = left[os.write(self._fd, left[: self._most]) :]
            except BlockingIOError:
                await self._room()
            except BrokenPipeError:
                raise  # ends the command in silence, as for every program
            except OSError as error:
                raise LocalFailed(f"output cannot be written: {error.strerror}") from error

    def close(self) -> None:
        os.close(self._fd)

    async def _room(self) -> None:
        loop = asyncio.get_running_loop()
        await _ready(self._fd, loop.add_writer, loop.remove_writer)


def _own(fd: int, access: int) -> int:
    """A descriptor of our own for the same file, where it can be one that never blocks."""
    try:
        mode = os.fstat(fd).st_mode
    except OSError as error:
        raise LocalFailed(f"descriptor {fd} is not open: redirect it to /dev/null") from error
    # a plain file opened anew would begin at its start
    if stat.S_ISCHR(mode) or stat.S_ISFIFO(mode):
        with contextlib.suppress(OSError):  # another user's (su, sudo)
            return os.open(f"/proc/self/fd/{fd}", access | os.O_NONBLOCK | os.O_NOCTTY)
    return os.dup(fd)


async def _ready(fd: int, add: Callable[..., object], remove: Callable[[int], object]) -> None:
    ready = asyncio.get_running_loop().create_future()
    try:
        add(fd, _set, ready)
    except PermissionError:  # epoll's word for a plain file or /dev/null, which never wait
        await asyncio.sleep(0)
        return
    try:
        await ready
    finally:
        remove(fd)


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
