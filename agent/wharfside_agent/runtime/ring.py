"""The last of a process's output, where there is no log: bounded, for any number of readers."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from wharfside_agent.ports.io import Missing, Piece
from wharfside_protocol.io_frames import Chunk, StreamName
from wharfside_protocol.times import to_timestamp

RING_BYTES = 1024 * 1024
"""So far a reader may lag behind. With its window and the bus it has some more."""

_OVERHEAD_BYTES = 200
"""What a piece costs besides its data: a program may write byte by byte."""

_MOST_CHUNKS = 1024
"""A frame takes no more."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """`before`: bytes of output before it."""

    before: int
    chunk: Chunk


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

    def add(self, stream: StreamName, data: bytes, time: int) -> None:
        """`time`: nanoseconds since the epoch."""
        self.kept.append(_Kept(self.end, Chunk(stream=stream, data=data, time=to_timestamp(time))))
        self.end += len(data)
        self._size += len(data) + _OVERHEAD_BYTES
        while self._size > self._limit:
            self.dropped += 1
            self._size -= len(self.kept.popleft().chunk.data) + _OVERHEAD_BYTES
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
    """ports.io.Source. `_at` counts bytes, `_number` the pieces up to it, since the beginning."""

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

    def close(self) -> None:
        self._closed = True
        self._ring.wake()

    def _skip(self) -> Missing:
        ring = self._ring
        before = ring.kept[0].before if ring.kept else ring.end
        count, self._at, self._number = before - self._at, before, ring.dropped
        return Missing(count)

    def _next(self, most: int) -> list[Chunk]:
        """Pieces as they came, the last one cut where there is no room for more."""
        chunks: list[Chunk] = []
        room = most
        ring = self._ring
        while room > 0 and self._at < ring.end and len(chunks) < _MOST_CHUNKS:
            kept = ring.kept[self._number - ring.dropped]
            start = self._at - kept.before
            data = kept.chunk.data[start : start + room]
            chunks.append(Chunk(stream=kept.chunk.stream, data=data, time=kept.chunk.time))
            room -= len(data)
            self._at += len(data)
            if start + len(data) == len(kept.chunk.data):
                self._number += 1
        return chunks
