"""The last of a process's output, where there is no log: bounded, for any number of readers."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import NamedTuple

from wharfside_agent.ports.io import Missing, Piece
from wharfside_protocol.io_frames import Chunk, StreamName

RING_BYTES = 1024 * 1024
"""So far a reader may lag behind. With its window and the bus it has some more."""

_OVERHEAD_BYTES = 200
"""What a piece costs besides its data: a program may write byte by byte."""

_MOST_CHUNKS = 1024
"""A frame takes no more."""


class _Kept(NamedTuple):
    """`before`: bytes of output before it."""

    before: int
    stream: StreamName
    data: bytes


class Ring:
    """Output as it came. `add` never waits: what no longer fits falls out at the other end.

    Attributes, for its readers:
        kept: what is still here.
        dropped: pieces that fell out.
        end: bytes that came in all.
        over: nothing more comes.
    """

    def __init__(self, limit: int = RING_BYTES) -> None:
        self._limit = limit
        self.kept: deque[_Kept] = deque()
        self.dropped = 0
        self._size = 0
        self.end = 0
        self.over = False
        self._waiting: set[asyncio.Future[None]] = set()

    def add(self, stream: StreamName, data: bytes) -> None:
        self.kept.append(_Kept(self.end, stream, data))
        self.end += len(data)
        self._size += len(data) + _OVERHEAD_BYTES
        while self._size > self._limit:
            self.dropped += 1
            self._size -= len(self.kept.popleft().data) + _OVERHEAD_BYTES
        if self._waiting:
            self.wake()

    def finish(self) -> None:
        """Nothing more comes. Idempotent."""
        self.over = True
        self.wake()

    def reader(self, *, whole: bool = False) -> RingReader:
        """From now on, or with `whole` all that is kept, and told what is not."""
        return RingReader(self, 0 if whole else self.end)

    def wake(self) -> None:
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)
        self._waiting.clear()


class RingReader:
    """ports.io.LiveSource. `_at` counts bytes, `_number` pieces before it, since the beginning."""

    def __init__(self, ring: Ring, at: int) -> None:
        self._ring = ring
        self._at = at
        self._number = 0 if at == 0 else ring.dropped + len(ring.kept)
        self._closed = False

    async def read(self, most: int) -> Piece | Missing | None:
        ring = self._ring
        while not self._closed:
            if self._number < ring.dropped:
                return self._skip()
            if self._at < ring.end:
                return Piece(self._next(most))
            if ring.over:
                return None
            waiting = asyncio.get_running_loop().create_future()
            ring._waiting.add(waiting)
            await waiting
        return None

    def behind(self) -> int:
        return self._ring.end - self._at

    def close(self) -> None:
        self._closed = True
        self._ring.wake()

    def _skip(self) -> Missing:
        ring = self._ring
        before = ring.kept[0].before if ring.kept else ring.end
        count, self._at, self._number = before - self._at, before, ring.dropped
        return Missing(count)

    def _next(self, most: int) -> list[Chunk]:
        """What neighbours of one stream hold is one chunk; the last is cut where room ends."""
        found: list[tuple[StreamName, list[bytes]]] = []
        room = most
        ring = self._ring
        while room > 0 and self._at < ring.end:
            kept = ring.kept[self._number - ring.dropped]
            if not found or found[-1][0] is not kept.stream:
                if len(found) == _MOST_CHUNKS:
                    break
                found.append((kept.stream, []))
            start = self._at - kept.before
            data = kept.data[start : start + room]
            found[-1][1].append(data)
            room -= len(data)
            self._at += len(data)
            self._number += start + len(data) == len(kept.data)
        return [Chunk(stream=stream, data=b"".join(parts)) for stream, parts in found]
