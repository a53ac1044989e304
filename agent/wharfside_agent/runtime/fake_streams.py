"""The streams of a process of the fake machine: rules of a real one, without a monitor."""

from __future__ import annotations

from wharfside_agent.ports.io import LiveSource
from wharfside_agent.runtime.fake_machine import FakeProcess
from wharfside_agent.runtime.ring import Ring
from wharfside_protocol.errors import RuntimeFailed, Unsupported, WrongState
from wharfside_protocol.io_frames import StreamName
from wharfside_protocol.specs import Io


class FakeStreams:
    """ports.runtime.Streams. Closed, it ends what ends with a connection, as conmon would."""

    def __init__(self, body: FakeProcess) -> None:
        self._body = body
        self._open = False
        self._ring = None if body.io.log else Ring()
        if self._ring is not None:
            body.taps.append(self._take)
            body.doorbells.append(self._rung)

    @property
    def io(self) -> Io:
        return self._body.io

    @property
    def takes_input(self) -> bool:
        return self.io.stdin or self.io.tty

    @property
    def input_over(self) -> bool:
        return self._body.stdin_over or not self.takes_input

    def open_input(self) -> None:
        if self.input_over:
            raise WrongState("this process takes no input, or no more")
        if self._body.wait_status is not None:
            raise RuntimeFailed("cannot attach: the process is over")
        self._open = True

    async def write(self, data: bytes) -> None:
        if self.input_over:
            raise WrongState("the process's stdin has had its end")
        self._body.feed(data)

    def end_input(self) -> None:
        if self.io.stdin_once and not self.io.tty:
            self._body.feed_end()
        self._open = False

    async def resize(self, rows: int, columns: int) -> None:
        if not self.io.tty:
            raise Unsupported("this process has no terminal: it was made without `tty`")
        self._body.size = (rows, columns)

    def unlogged(self, *, whole: bool = False) -> LiveSource:
        if self._ring is None:
            raise Unsupported("this process has a log: read that")
        return self._ring.reader(whole=whole)

    def close(self) -> None:
        if self._ring is not None and self._take in self._body.taps:
            self._body.taps.remove(self._take)
            self._body.doorbells.remove(self._rung)
        if self._open:
            self.end_input()

    def _take(self, stream: StreamName, data: bytes) -> None:
        assert self._ring is not None
        self._ring.add(stream, data)

    def _rung(self) -> None:
        assert self._ring is not None
        if self._body.wait_status is not None:
            self._ring.finish()
