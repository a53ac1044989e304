"""An I/O session with a node's process or files: output to iterate over, input to write.

    async with node.session("attach", {"container": "web", "stdin": True}) as session:
        await session.write(b"hello\\n")
        await session.end()
        async for item in session:
            ...

A slow reader slows the source down where that may be (an archive, a log), and is told what it
lost where it may not. A broken connection loses nothing. Where the agent itself dies, output
goes on in another session behind the last that came, if `resume` tells how.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

from wharfside_client.bus import Bus
from wharfside_client.errors import SessionEnded, SessionLost
from wharfside_client.wire import Wire
from wharfside_protocol.codec import convert, to_plain
from wharfside_protocol.errors import Internal, Unsupported, WharfsideError, WrongState
from wharfside_protocol.io_commands import Opening, SessionView
from wharfside_protocol.io_frames import (
    CHUNK_BYTES,
    Chunk,
    Data,
    Eof,
    Exit,
    Lost,
    Position,
    Resize,
    Sequenced,
    SignalFrame,
    StreamName,
)
from wharfside_protocol.ops import OPS
from wharfside_protocol.records import Record

T = TypeVar("T")

Item = Chunk | Lost | Exit
"""What an iteration gives: output, what of it is gone, the process's end."""

Asked = Mapping[str, Any] | Callable[[Opening], Record]
"""An op's arguments: plain ones without `open`, or what makes the record for an opening."""

Call = Callable[[str, Record], Awaitable[Record]]
"""Asks the node, with all the patience that it takes; the op's value."""

LEAVE_S = 10.0
"""So long leaving waits for what was written to be taken."""

_OF_ITS_START = ("since", "tail")
"""Arguments that say where output begins, as `position` does."""


@dataclass(frozen=True, slots=True)
class Request:
    """What opens a session."""

    op: str
    args: Asked

    def made(self, opening: Opening) -> Record:
        """
        Raises:
            Unsupported: there is no such op.
            Invalid: these are not its arguments.
        """
        if self.op not in OPS:
            raise Unsupported(f"no op {self.op!r}; there are: {', '.join(OPS)}", op=self.op)
        if callable(self.args):
            return self.args(opening)
        return convert({**self.args, "open": to_plain(opening)}, OPS[self.op].args)

    def behind(self, position: Position | None) -> Request:
        """The same, of what comes behind `position`."""
        if position is None or callable(self.args):
            return self
        kept = {key: value for key, value in self.args.items() if key not in _OF_ITS_START}
        return Request(self.op, {**kept, "position": to_plain(position)})


Resume = Callable[[Position | None], Request]
"""What opens a session that goes on behind a position; None: there was no output yet."""


class Session:
    """A context; within it, iterate, and write. `Node.session` makes one.

    Attributes:
        value: what the op answered, of the session that is open now.
        view: the part of it that every op has.
        position: behind the last output that was handed out: for a session of another day.
        exit: the process's end, once it was handed out.
    """

    value: Record
    view: SessionView

    def __init__(
        self, bus: Bus, node: str, request: Request, call: Call, window: int, resume: Resume | None
    ) -> None:
        self.position: Position | None = None
        self.exit: Exit | None = None
        self._bus = bus
        self._node = node
        self._request = request
        self._call = call
        self._window = window
        self._resume = resume
        self._stream = StreamName.ARCHIVE if request.op == "put-archive" else StreamName.STDIN
        self._wire: Wire | None = None
        self._items: deque[tuple[Item, Position | None]] = deque()
        self._wrote = False
        self._done = False
        self._failed = False

    async def __aenter__(self) -> Self:
        """
        Raises:
            as every call of `Node`
        """
        await self._open(self._request)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None
    ) -> None:
        """Leaves; where nothing was raised, once what was written is taken, within LEAVE_S.

        Where the process's end was read nobody is left to take it.

        Raises:
            SessionLost, SessionEnded: it was not, though there may have been a reader.
            WharfsideError: why the node ended the session.
        """
        try:
            over = self._done or self._failed or self.exit is not None
            if kind is None and self._wrote and not over:
                await self._taken()
        finally:
            await self._opened.close()

    async def close(self) -> None:
        """Leaves at once; input that is not taken yet is dropped. Idempotent."""
        self._done = True
        await self._opened.close()

    async def _taken(self) -> None:
        try:
            async with asyncio.timeout(LEAVE_S):
                await self.drain()
        except TimeoutError as error:
            raise SessionEnded(
                "input was written that nobody took: leave with `close` where that may be"
            ) from error

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        """
        Raises:
            SessionLost: the agent is gone, and nothing tells how to go on.
            WharfsideError: why the node ended the session.
        """
        while not self._items:
            if self._done:
                raise StopAsyncIteration
            frame = await self._next()
            self._opened.took()
            self._done = isinstance(frame, Eof)
            self._items.extend(_items_of(frame))
        item, position = self._items.popleft()
        if isinstance(item, Exit):
            self.exit = item
        self.position = position or self.position
        return item

    async def write(self, data: bytes) -> None:
        """Input; returns once it is on its way, which is when the node has room for it.

        Raises:
            SessionLost: the agent is gone; `details.taken` bytes of all that was written were
                taken.
            SessionEnded: the process has ended.
            WrongState: this session takes no input.
            WharfsideError: why the node ended the session.
        """
        self._writes()
        rest = memoryview(data)
        while rest:
            room = await self._told(self._opened.room(min(len(rest), CHUNK_BYTES)))
            chunks = [Chunk(stream=self._stream, data=bytes(rest[:room]))]
            await self._put(partial(_data, chunks))
            rest = rest[room:]

    async def end(self) -> None:
        """No more input comes; output goes on. Raises as `write`."""
        self._writes()
        await self._put(lambda at: Eof(at=at))

    async def drain(self) -> None:
        """Returns once the node has taken all that was written. Raises as `write`."""
        await self._told(self._opened.drain())

    async def resize(self, rows: int, columns: int) -> None:
        """The terminal has so many cells now. Raises as `write`."""
        await self._put(lambda at: Resize(at=at, rows=rows, columns=columns))

    async def signal(self, name: str) -> None:
        """A signal ("INT") for the session's process. Raises as `write`."""
        await self._put(lambda at: SignalFrame(at=at, signal=name))

    def _writes(self) -> None:
        if not self.view.window:
            raise WrongState("this session takes no input: open it with `stdin`")
        self._wrote = True

    async def _put(self, make: Callable[[int], Sequenced]) -> None:
        await self._told(self._opened.put(make))

    async def _told(self, work: Awaitable[T]) -> T:
        try:
            return await work
        except WharfsideError as error:
            self._failed = True
            if isinstance(error, SessionLost):
                position = to_plain(self.position) if self.position is not None else None
                error.details.update(taken=self._opened.taken, position=position)
            raise

    @property
    def _opened(self) -> Wire:
        if self._wire is None:
            raise WrongState("the session is not open: use it as a context")
        return self._wire

    async def _open(self, request: Request) -> None:
        wire = Wire(self._bus, self._node, self._window)

        async def ask(opening: Opening) -> SessionView:
            self.value = await self._call(request.op, request.made(opening))
            view = getattr(self.value, "session", None)
            if not isinstance(view, SessionView):
                raise Internal(f"node {self._node} answered {request.op} without a session")
            return view

        try:
            self.view = await wire.open(ask)
        except BaseException:
            await wire.close()
            raise
        self._wire = wire

    async def _next(self) -> Sequenced:
        """The next frame, of another session where this one is lost."""
        while True:
            try:
                return await self._told(self._opened.next())
            except SessionLost:
                if self._resume is None or self._wrote:
                    raise
                await self._reopen(self._resume)

    async def _reopen(self, resume: Resume) -> None:
        position = self._opened.position or self.position
        await self._opened.close()
        await self._open(resume(position))
        self._failed = False
        self._opened.position = position


def _data(chunks: list[Chunk], at: int) -> Data:
    return Data(at=at, chunks=chunks)


def _items_of(frame: Sequenced) -> list[tuple[Item, Position | None]]:
    """Each item with the position that is reached with it."""
    match frame:
        case Data():
            *chunks, last = frame.chunks
            return [*((chunk, None) for chunk in chunks), (last, frame.position)]
        case Lost():
            return [(frame, frame.position)]
        case Exit():
            return [(frame, None)]
        case _:
            return []
