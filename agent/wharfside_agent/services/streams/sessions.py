"""All I/O sessions of the node: opened within a limit, fed by one subscription, ended together.

The key of a session is its subject: peer and session are tokens there, and who may publish
below a peer's token is the bus's business. Nothing here ever touches a container or its exit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog

from wharfside_agent.errors import told
from wharfside_agent.ports.bus import Bus, Request
from wharfside_agent.ports.io import Carried
from wharfside_agent.services.streams.session import Session
from wharfside_agent.services.tasks import Tasks
from wharfside_protocol.codec import encode
from wharfside_protocol.errors import Busy, Conflict, ErrorBody, Invalid, NotFound
from wharfside_protocol.io_commands import Opening
from wharfside_protocol.io_frames import DEFAULT_WINDOW, Ack, Again, Close, Reset
from wharfside_protocol.io_reading import up_frame
from wharfside_protocol.io_writing import Parts
from wharfside_protocol.subjects import Subjects

log = structlog.get_logger(__name__)

MAX_RESETS = 64
"""So many peers of sessions that are not here wait to be told so; the others ask again."""

WIDE_PART = 8
"""One of so many sessions has the whole window that is allowed: all of them together would have
too much memory of it."""

MAX_REASONS = 256
"""Why so many sessions ended is remembered, for peers to whom it was told in vain."""

Key = tuple[str, str]
"""Peer and session."""

Make = Callable[[], Awaitable[Carried]]


@dataclass
class _Place:
    """`session` is done once what it carries is made; `looks`: see `Sessions`."""

    command: str
    looks: bool
    session: asyncio.Future[Session] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    @property
    def opened(self) -> Session | None:
        done = self.session.done() and not self.session.cancelled()
        return self.session.result() if done and self.session.exception() is None else None


class Sessions:
    """`most` at once, of `window` bytes each way at most (see WIDE_PART); idle ones end after
    `idle_s`.

    One peer has no more than three quarters of them, so that no other is shut out by it; nor have
    those that only look, which a viewer may open in any peer's name.
    """

    def __init__(
        self,
        node: str,
        bus: Bus,
        subjects: Subjects,
        tasks: Tasks,
        *,
        most: int,
        window: int,
        idle_s: float,
    ) -> None:
        self._node = node
        self._bus = bus
        self._subjects = subjects
        self._tasks = tasks
        self.limit(most=most, window=window, idle_s=idle_s)
        self._places: dict[Key, _Place] = {}
        self._reasons: dict[Key, ErrorBody] = {}
        self._resets: asyncio.Queue[tuple[Key, ErrorBody]] = asyncio.Queue(MAX_RESETS)
        self._lives: set[asyncio.Task[None]] = set()
        self._going_down = False
        self._opened = 0
        self._ended_down, self._ended_up = 0, 0

    @property
    def opened(self) -> int:
        """So many were opened in this life."""
        return self._opened

    @property
    def carried_bytes(self) -> tuple[int, int]:
        """Down to the peers and up from them, of all sessions of this life."""
        open_ = [place.opened for place in self._places.values()]
        sessions = [session for session in open_ if session is not None]
        return (
            self._ended_down + sum(session.down_bytes for session in sessions),
            self._ended_up + sum(session.up_bytes for session in sessions),
        )

    def __len__(self) -> int:
        return len(self._places)

    async def start(self) -> None:
        """Hears the peers from now on."""
        self._bus.on_connected(self._reconnected)
        self._tasks.start(self._tell_resets(), "session-resets")
        await self._bus.listen(self._subjects.io_up_of(self._node), self._heard)

    async def open(
        self, opening: Opening, command: str, make: Make, *, looks: bool = False
    ) -> Session:
        """The session that `opening` asks for, carrying what `make` makes, once there is room.

        A repeat of the same command gets the session that is open. Where what the op does
        next fails, `end` the session with the error.

        Raises:
            Busy: there are as many as may be (of those that only look, if it `looks`), or the
                agent goes down.
            Conflict: the peer has such a session already, opened by another command.
            WharfsideError: what `make` raises; nothing is open then.
        """
        key = (opening.peer, opening.session)
        place = self._places.get(key)
        if place is not None:
            if place.command != command:
                raise Conflict(f"session {opening.session} is open: give each a name of its own")
            return await asyncio.shield(place.session)
        self._check_room(opening.peer, looks)
        place = self._places[key] = _Place(command, looks)
        try:
            carried = await make()
        except BaseException as error:
            del self._places[key]
            why = told(error) if isinstance(error, Exception) else Busy("it was interrupted")
            place.session.set_exception(why)
            place.session.exception()  # a repeat may wait for it, or nobody
            raise
        return self._begin(key, place, opening, carried)

    async def close(self, grace_s: float) -> None:
        """Ends all, and tells their peers to come again: the agent goes down."""
        self._going_down = True
        for place in self._places.values():
            if (session := place.opened) is not None:
                session.end(Busy("the agent goes down: open another session", session="gone"))
        if self._lives:
            await asyncio.wait(set(self._lives), timeout=grace_s)

    def limit(self, *, most: int, window: int, idle_s: float) -> None:
        """For those that begin from now on."""
        self.most = most
        self._most_of_one = self._most_looks = most - most // 4
        self._window = window
        self._idle_s = idle_s

    def _check_room(self, peer: str, looks: bool) -> None:
        if self._going_down:
            raise Busy("the agent goes down: ask its next life")
        own = sum(1 for each, _ in self._places if each == peer)
        if own >= self._most_of_one:
            raise Busy(
                f"{own} sessions of {peer} are open here, and the rest of {self.most} "
                "(limits.sessions) are for other peers: close one, or try again later"
            )
        if looks and sum(place.looks for place in self._places.values()) >= self._most_looks:
            raise Busy(
                f"{self._most_looks} sessions that only look are open here, and the rest of "
                f"{self.most} (limits.sessions) are for others: close one, or try again later"
            )
        if len(self._places) >= self.most:
            raise Busy(
                f"{self.most} sessions are open here, and no more may be (limits.sessions): "
                "close one, or try again later"
            )

    @property
    def _window_of_next(self) -> int:
        """With its own place taken."""
        wide = len(self._places) <= self.most // WIDE_PART
        return self._window if wide else min(self._window, DEFAULT_WINDOW)

    def _begin(self, key: Key, place: _Place, opening: Opening, carried: Carried) -> Session:
        subject = self._subjects.io_down(self._node, *key)

        async def tell(data: bytes | Parts) -> None:
            await self._bus.tell(subject, data)

        session = Session(opening, carried, tell, self._idle_s, self._window_of_next)
        self._reasons.pop(key, None)
        self._opened += 1
        place.session.set_result(session)
        life = self._tasks.start(self._life(key, session), f"session {opening.session}")
        self._lives.add(life)
        life.add_done_callback(self._lives.discard)
        return session

    async def _life(self, key: Key, session: Session) -> None:
        try:
            await session.run()
        finally:
            del self._places[key]
            self._ended_down += session.down_bytes
            self._ended_up += session.up_bytes
            session.end(None)
            if (error := session.over.result()) is not None:
                log.debug("session-ended", peer=key[0], session=key[1], error=error.message)
                self._remember(key, error.to_body())

    def _remember(self, key: Key, reason: ErrorBody) -> None:
        self._reasons[key] = reason
        while len(self._reasons) > MAX_REASONS:
            del self._reasons[next(iter(self._reasons))]

    def _reconnected(self) -> None:
        for place in self._places.values():
            if (session := place.opened) is not None:
                session.reconnected()

    def _heard(self, request: Request) -> None:
        try:
            key = self._subjects.session_of(request.subject, self._node)
        except Invalid as error:
            log.debug("foreign-frame", subject=request.subject, error=error.message)
            return
        place = self._places.get(key)
        if place is None:
            self._refuse(key, request.data)
        elif (session := place.opened) is not None:
            session.received(request.data)

    def _refuse(self, key: Key, data: bytes) -> None:
        """Tells a peer that its session is not here; frames that want no answer get none."""
        gone = NotFound("no such session here (any more): open another one", session="gone")
        reason = self._reasons.get(key, gone.to_body())
        try:
            if isinstance(up_frame(data), Ack | Again | Close | Reset):
                return
        except Invalid as error:
            reason = error.to_body()
        if not self._resets.full():
            self._resets.put_nowait((key, reason))

    async def _tell_resets(self) -> None:
        while True:
            key, reason = await self._resets.get()
            await self._bus.tell(
                self._subjects.io_down(self._node, *key), encode(Reset(error=reason))
            )
