"""A process's input, terminal and unlogged output: one attach connection for all of them."""

from __future__ import annotations

import select
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from wharfside_agent.ports.io import LiveSource
from wharfside_agent.runtime.attach import AttachSocket
from wharfside_agent.runtime.ctl import Ctl
from wharfside_agent.runtime.ring import Ring
from wharfside_protocol.errors import NotFound, RuntimeFailed, Unsupported, WrongState
from wharfside_protocol.io_frames import StreamName
from wharfside_protocol.specs import Io


class RunStreams:
    """ports.runtime.Streams over conmon's attach socket and control FIFO.

    Whose end closes stdin is conmon's rule, so that a later life of the agent must know whether
    one before was connected: the file `mark` says so.
    """

    def __init__(self, io: Io, folder: Path, mark: Path, exit_fd: Callable[[], int]) -> None:
        """`folder`: conmon's bundle. `exit_fd`: a pidfd of the process, -1 where it is over."""
        self._io = io
        self._folder = folder
        self._mark = mark
        self._exit_fd = exit_fd
        self._ctl = Ctl(folder)
        self._ring = None if io.log else Ring()
        self._socket: AttachSocket | None = None
        self._ended = not self.takes_input

    @property
    def io(self) -> Io:
        return self._io

    @property
    def takes_input(self) -> bool:
        return self._io.stdin or self._io.tty

    @property
    def input_over(self) -> bool:
        return self._ended

    def begin(self) -> None:
        """For a process that was just made: connected at once where there is no log."""
        if self._ring is not None:
            self._connect()

    def resume(self) -> None:
        """For one that an earlier life of the agent made: its connection, if any, died with it."""
        marked = self._ends_once and self._mark.exists()
        self._ended |= marked
        if self._ring is None and not marked:
            return
        try:
            self._connect()
        except RuntimeFailed:
            self._gone()
        if marked:
            # Once more: it may have died between the mark and the connection.
            self.end_input()

    def settle(self) -> None:
        """After an attach that was there before the terminal: conmon must not wait for that.

        It makes a terminal non-blocking only when a client comes, and would hang in a write to
        one whose program does not read. So one more client comes, and leaves.
        """
        if self._ring is not None and self._io.tty:
            with suppress(RuntimeFailed):  # a short program may be over already
                AttachSocket(self._folder, None, _nothing).close()

    def open_input(self) -> None:
        if not self.takes_input:
            raise WrongState("this process has no stdin: it was made without `stdin` and `tty`")
        if self._ended:
            raise WrongState("the process's stdin has had its end: it takes one session's input")
        self._connect()

    async def write(self, data: bytes) -> None:
        if self._ended:
            raise WrongState("the process's stdin has had its end")
        try:
            if self._socket is None:
                raise BrokenPipeError
            await self._socket.send(data)
        except BrokenPipeError as error:
            if not self._process_over():
                raise WrongState(
                    "the process's monitor is gone: nobody hands input on to it"
                ) from error

    def end_input(self) -> None:
        if self._ends_once:
            self._ended = True
            if self._socket is not None:
                self._socket.end_input()
        elif self._io.log:
            self._disconnect()

    async def resize(self, rows: int, columns: int) -> None:
        if not self._io.tty:
            raise Unsupported("this process has no terminal: it was made without `tty`")
        await self._ctl.resize(rows, columns)

    @property
    def ctl(self) -> Ctl:
        """What the log's rotation speaks to conmon by, too."""
        return self._ctl

    def unlogged(self, *, whole: bool = False) -> LiveSource:
        if self._io.log:
            raise Unsupported("this process has a log: read that")
        if self._ring is None:
            raise NotFound("the process is over, and nothing of its output is kept: it has no log")
        return self._ring.reader(whole=whole)

    def close(self) -> None:
        """What has come is with those who read it; nobody else will."""
        if self._socket is not None:
            self._socket.drain()
        self._disconnect()
        if self._ring is not None:
            self._ring.finish()
            self._ring = None

    @property
    def _ends_once(self) -> bool:
        return self._io.stdin and self._io.stdin_once and not self._io.tty

    def _connect(self) -> None:
        if self._socket is not None:
            return
        if self._ends_once:
            self._mark.touch()
        take = None if self._io.log else self._take
        self._socket = AttachSocket(self._folder, take, self._gone)

    def _disconnect(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _take(self, stream: StreamName, data: bytes) -> None:
        if self._ring is not None:
            self._ring.add(stream, data)

    def _gone(self) -> None:
        self._socket = None
        if self._ring is not None:
            self._ring.finish()

    def _process_over(self) -> bool:
        fd = self._exit_fd()
        if fd < 0:
            return True
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        return bool(poll.poll(0))


def _nothing() -> None:
    """Nobody waits for that client's end."""
