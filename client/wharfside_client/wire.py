"""One I/O session with one life of an agent: frames both ways, bounded by their windows."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable

from wharfside_client.bus import Bus, Tap
from wharfside_client.errors import SessionEnded, SessionLost
from wharfside_client.inbox import denial
from wharfside_client.messages import Message
from wharfside_protocol.codec import encode
from wharfside_protocol.errors import ErrorBody, Invalid, WharfsideError, from_body
from wharfside_protocol.io_commands import Opening, SessionView
from wharfside_protocol.io_flow import Incoming, Outgoing
from wharfside_protocol.io_frames import (
    Close,
    Data,
    Frame,
    Lost,
    Position,
    Reset,
    Sequenced,
)
from wharfside_protocol.io_link import Link, Times
from wharfside_protocol.io_reading import down_frame
from wharfside_protocol.io_writing import encode_frame

PING_S = 5.0
"""An agent that died tells nothing; its next life answers a frame with a Reset."""

LEAVE_S = 1.0
"""So long leaving may take; a Close that is not heard is made up for by the idle time."""

Ask = Callable[[Opening], Awaitable[SessionView]]


class Wire:
    """`open`, then frames come from `next`, and go by `put`; `close` in any case.

    Attributes:
        position: behind the last output that has come, also where nobody has taken it yet.
    """

    def __init__(self, bus: Bus, node: str, window: int) -> None:
        peer, session = bus.settings.peer, f"s-{secrets.token_hex(8)}"
        self.position: Position | None = None
        self.opening = Opening(peer=peer, session=session, window=window)
        self._bus = bus
        self._up = bus.settings.subjects.io_up(node, peer, session)
        self._down = bus.settings.subjects.io_down(node, peer, session)
        self._loop = asyncio.get_running_loop()
        self._out, self._into = Outgoing(0, 0), Incoming(window)
        self._link = Link(self._out, self._into, Times(60.0, PING_S), self._loop.time())
        self._over: WharfsideError | None = None
        self._tap: Tap | None = None
        self._sender: asyncio.Task[None] | None = None
        self._to_send = asyncio.Event()
        self._due = 0.0
        self._acked = asyncio.Event()
        self._came = asyncio.Event()

    @property
    def taken(self) -> int:
        """Bytes of input that the node has taken."""
        return self._out.taken

    async def open(self, ask: Ask) -> SessionView:
        """Listens, then asks the node.

        Raises:
            ServerUnreachable, Denied: the bus does not let us listen.
            WharfsideError: what `ask` raises.
        """
        self._bus.denials.add(self._denied)
        self._tap = await self._bus.subscribe(self._down, self._received)
        view = await ask(self.opening)
        self._out.limit = self._out.window = view.window
        self._into.window = min(self._into.window, view.keeps)
        self._link.times = Times(view.idle_s, min(PING_S, view.idle_s / 2))
        self._bus.listeners.add(self._reconnected)
        self._sender = asyncio.create_task(self._send(), name="wharfside-session")
        return view

    async def close(self) -> None:
        """Leaves; idempotent."""
        self._end(SessionEnded("the session was closed"))
        self._bus.listeners.discard(self._reconnected)
        self._bus.denials.discard(self._denied)
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.wait({self._sender})
        if self._tap is not None:
            tap, self._tap = self._tap, None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LEAVE_S):
                    await self._bus.tell(self._up, encode(Close()))
                    await tap.close()

    async def next(self) -> Sequenced:
        """The next frame; `took` it before the next call.

        Raises:
            SessionLost: the agent is gone.
            WharfsideError: why the node ended it.
        """
        while (frame := self._into.next()) is None:
            self._check()
            self._came.clear()
            await self._came.wait()
        return frame

    def took(self) -> None:
        self._link.took(self._loop.time())
        self._look()

    async def room(self, wanted: int) -> int:
        """How much of `wanted` bytes of data may be put now, once that is worth a frame.

        Raises:
            SessionLost, SessionEnded: nobody takes it any more.
            WharfsideError: why the node ended the session.
        """
        while self._out.room < min(wanted, self._out.worth):
            await self._wait_acked()
        self._check_input()
        return min(self._out.room, wanted)

    async def put(self, make: Callable[[int], Sequenced]) -> None:
        """Sends what `make` makes for the place that it is given; it waits for no room.

        Raises:
            as `room`
        """
        while self._out.full:
            await self._wait_acked()
        self._check_input()
        self._out.add(make(self._out.end))
        self._to_send.set()

    async def drain(self) -> None:
        """Returns once the node has taken everything.

        Raises:
            as `room`
        """
        while not self._out.all_acked:
            await self._wait_acked()

    async def _wait_acked(self) -> None:
        self._check_input()
        self._acked.clear()
        await self._acked.wait()

    def _check(self) -> None:
        if self._over is not None:
            raise self._over

    def _check_input(self) -> None:
        self._check()
        if self._into.over:
            raise SessionEnded("the session is over: its process takes no more input")

    def _received(self, message: Message) -> None:
        if message.subject != self._down:
            return  # a server's answer to somebody who named us as its reader
        try:
            frame = down_frame(message.data)
            if isinstance(frame, Reset):
                self._end(_reason(frame.error))
            elif isinstance(frame, Close):
                self._end(SessionEnded("the node closed the session"))
            else:
                self._take(frame)
        except Invalid as error:
            self._end(error)

    def _take(self, frame: Frame) -> None:
        expected = self._into.expected
        self._link.received(frame, self._loop.time())
        came = self._into.expected > expected
        if came and isinstance(frame, Data | Lost) and frame.position is not None:
            self.position = frame.position
        self._acked.set()
        self._came.set()
        self._look()

    def _look(self) -> None:
        """Wakes the sender where it would sleep too long: for most that comes it need not."""
        if self._link.due < self._due:
            self._to_send.set()

    def _denied(self, what: str, subject: str) -> None:
        if subject in (self._up.lower(), self._down.lower()):
            self._end(denial(what, subject))

    def _reconnected(self) -> None:
        self._link.reconnected(self._loop.time())
        self._wake()

    def _end(self, error: WharfsideError) -> None:
        """The first reason counts; what came before it is still there to be read."""
        self._over = self._over or error
        self._wake()

    def _wake(self) -> None:
        for event in (self._to_send, self._acked, self._came):
            event.set()

    async def _send(self) -> None:
        try:
            await self._send_all()
        except WharfsideError as error:  # the server takes no frame so large
            self._end(error)

    async def _send_all(self) -> None:
        while self._over is None:
            self._to_send.clear()
            if not self._link.tick(self._loop.time()):
                self._end(SessionLost("the node was not heard for too long: open another session"))
            while (frame := self._link.next(self._loop.time())) is not None:
                await self._bus.tell(self._up, bytes(encode_frame(frame)))
            self._due = self._link.due
            timer = self._loop.call_at(self._due, self._to_send.set)
            try:
                await self._to_send.wait()
            finally:
                timer.cancel()


def _reason(body: ErrorBody) -> WharfsideError:
    error = from_body(body)
    return SessionLost(error.message) if error.details.get("session") == "gone" else error
