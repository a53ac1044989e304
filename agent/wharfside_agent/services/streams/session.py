"""One I/O session: what a source gives goes down, what the peer sends up goes into a sink.

At zero credit the source is not read, and what the sink has not taken is not acked: so a
session holds two windows of memory at most, and a slow end on either side slows the other.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from wharfside_agent.errors import told
from wharfside_agent.ports.io import Carried, Missing, NoReader, Over, Piece, Sink
from wharfside_protocol.codec import encode
from wharfside_protocol.errors import DeadlineExceeded, Invalid, WharfsideError
from wharfside_protocol.io_commands import Opening, SessionView
from wharfside_protocol.io_flow import MAX_FRAMES, Incoming, Outgoing
from wharfside_protocol.io_frames import (
    CHUNK_BYTES,
    Close,
    Data,
    Eof,
    Exit,
    Frame,
    Lost,
    Reset,
    Resize,
    Sequenced,
    SignalFrame,
    StreamName,
)
from wharfside_protocol.io_link import Link, Times
from wharfside_protocol.io_reading import up_frame
from wharfside_protocol.io_writing import Parts, encode_frame

log = structlog.get_logger(__name__)

CLOSE_S = 5.0
"""What a source or sink may take to let go."""

_OUT_OF_BAND = (Resize, SignalFrame)
_INPUT = (StreamName.STDIN, StreamName.ARCHIVE)

Tell = Callable[[bytes | Parts], Awaitable[None]]
"""Publishes to the peer; what is lost is asked for again."""


class Session:
    """`run` is its life.

    Attributes:
        view: what the peer is answered.
        carried: what its op may answer more of.
        down_bytes: so much data was given to the peer, what was sent again counted once.
        up_bytes: so much was taken from it.
        over: done at the end, with what the peer is told of it: None where all went well.
    """

    def __init__(
        self, opening: Opening, carried: Carried, tell: Tell, idle_s: float, window: int
    ) -> None:
        takes = window if carried.sink is not None and carried.input else 0
        keeps = min(opening.window, window)
        self.view = SessionView(
            peer=opening.peer,
            session=opening.session,
            window=takes,
            keeps=keeps,
            idle_s=idle_s,
            tty=carried.tty,
        )
        self._loop = asyncio.get_running_loop()
        self.over: asyncio.Future[WharfsideError | None] = self._loop.create_future()
        self.carried = carried
        self.down_bytes, self.up_bytes = 0, 0
        self._tell = tell
        times = Times(idle_s=idle_s, ping_s=idle_s / 2)
        self._link = Link(Outgoing(keeps, keeps), Incoming(takes), times, self._loop.time())
        self._to_send = asyncio.Event()
        self._due = 0.0
        self._acked = asyncio.Event()
        self._came = asyncio.Event()
        self._steers: deque[Resize | SignalFrame] = deque()
        self._steered = asyncio.Event()

    def received(self, data: bytes) -> None:
        """Takes a message of the peer; whatever is wrong with it ends the session."""
        try:
            frame = up_frame(data)
            if isinstance(frame, Close | Reset):
                self.end(None)
                return
            self._check(frame)
            expected = self._link.into.expected
            self._link.received(frame, self._loop.time())
            if isinstance(frame, _OUT_OF_BAND) and self._link.into.expected > expected:
                self._steer(frame)
        except Invalid as error:
            self.end(error)
        self._acked.set()
        self._came.set()
        self._look()

    def reconnected(self) -> None:
        """The bus was away: what was on its way may be lost."""
        self._link.reconnected(self._loop.time())
        self._to_send.set()

    def end(self, error: WharfsideError | None) -> None:
        """The session is over; the peer is told of an `error`. The first reason counts."""
        if not self.over.done():
            self.over.set_result(error)

    async def run(self) -> None:
        """Carries until it is over, then lets go of source and sink."""
        pumps = [self._send(), self._give()]
        if (sink := self.carried.sink) is not None:
            pumps += [self._take(sink), self._steering(sink)]
        if (failed := self.carried.failed) is not None:
            failed.add_done_callback(lambda failed: self.end(failed.result()))
        tasks = [asyncio.create_task(self._guarded(pump)) for pump in pumps]
        try:
            await asyncio.wait({self.over})
        finally:
            self.end(None)
            self.carried.source.close()
            if self.carried.sink is not None:
                self.carried.sink.close()
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=CLOSE_S)
        await self._say_why()

    async def _guarded(self, pump: Awaitable[None]) -> None:
        try:
            await pump
        except WharfsideError as error:
            self.end(error)
        except Exception as error:
            log.error("session-failed", session=self.view.session, exc_info=error)
            self.end(told(error))

    async def _say_why(self) -> None:
        if (error := self.over.result()) is not None:
            with suppress(Invalid):  # what is too large for the server goes nowhere
                await self._flush()
            await self._tell(encode(Reset(error=error.to_body())))

    async def _send(self) -> None:
        """Whatever is to be sent, in one place, so that it goes in order."""
        while True:
            self._to_send.clear()
            if not self._link.tick(self._loop.time()):
                raise DeadlineExceeded(
                    f"nothing heard of the peer for {self.view.idle_s:g} s: open another session",
                    session="gone",
                )
            await self._flush()
            if self._all_given:
                self.end(None)
            self._due = self._link.due
            timer = self._loop.call_at(self._due, self._to_send.set)
            await self._to_send.wait()
            timer.cancel()

    @property
    def _all_given(self) -> bool:
        return self._link.out.over and self._link.out.all_acked

    async def _flush(self) -> None:
        while (frame := self._link.next(self._loop.time())) is not None:
            await self._tell(encode_frame(frame))

    async def _give(self) -> None:
        """From the source to the peer, as far as it has room."""
        out = self._link.out
        while True:
            while out.room < out.worth:
                self._acked.clear()
                await self._acked.wait()
            item = await self.carried.source.read(min(out.room, CHUNK_BYTES))
            self.down_bytes += out.add(_frame_of(item, out.end))
            self._to_send.set()
            if item is None:
                return

    async def _take(self, sink: Sink) -> None:
        """From the peer to the sink, which may take its time."""
        into, dropped = self._link.into, False
        while True:
            while (frame := into.next()) is None:
                self._came.clear()
                await self._came.wait()
            if not dropped:
                dropped = not await _passed_on(frame, sink)
            self.up_bytes += frame.size
            self._link.took(self._loop.time())
            self._look()

    def _look(self) -> None:
        """Wakes `_send` where it would sleep too long: for most that comes it need not."""
        if self._link.due < self._due or self._all_given:
            self._to_send.set()

    def _steer(self, frame: Resize | SignalFrame) -> None:
        """Not behind the input: an interrupt is wanted most where nobody reads that."""
        if len(self._steers) >= MAX_FRAMES:
            raise Invalid(f"more than {MAX_FRAMES} resizes and signals wait")
        self._steers.append(frame)
        self._steered.set()

    async def _steering(self, sink: Sink) -> None:
        while True:
            while not self._steers:
                self._steered.clear()
                await self._steered.wait()
            frame = self._steers.popleft()
            try:
                if isinstance(frame, Resize):
                    await sink.resize(frame.rows, frame.columns)
                else:
                    await sink.signal(frame.signal)
            except WharfsideError as error:
                log.info("not-steered", session=self.view.session, error=error.message)

    def _check(self, frame: Frame) -> None:
        if isinstance(frame, Sequenced) and self.carried.sink is None:
            raise Invalid("this session only gives output: nothing is sent up")
        if isinstance(frame, Eof) and not self.carried.input:
            raise Invalid("this session takes no input, so its input does not end")
        if isinstance(frame, Data) and any(each.stream not in _INPUT for each in frame.chunks):
            raise Invalid("input is of the stream `stdin` or `archive`")


def _frame_of(item: Piece | Missing | Over | None, at: int) -> Sequenced:
    match item:
        case Piece():
            return Data(at=at, chunks=list(item.chunks), position=item.position)
        case Missing():
            return Lost(at=at, count=item.count, position=item.position)
        case Over():
            return Exit(
                at=at,
                process=item.process,
                incarnation=item.incarnation,
                run=item.run,
                exit=item.exit,
            )
        case None:
            return Eof(at=at)


async def _passed_on(frame: Sequenced, sink: Sink) -> bool:
    """False: nobody reads any more."""
    try:
        match frame:
            case Data(chunks=[chunk]):
                await sink.write(chunk.data)
            case Data():
                await sink.write(b"".join(chunk.data for chunk in frame.chunks))
            case Eof():
                await sink.eof()
    except NoReader:
        return False
    return True
