"""A process's log as a source of output: bounded slices, one reader, nothing held back.

SLICE_BYTES are read and taken apart at once, and more only while that takes no longer than
a turn of the loop may: what is read in one turn is sent with one write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from wharfside_agent.core.log_lines import (
    HEAD_BYTES,
    LINE_BYTES,
    Head,
    Run,
    parse_head,
    runs,
    to_time,
)
from wharfside_agent.ports.io import Missing, Piece
from wharfside_agent.ports.logs import LogWish
from wharfside_agent.runtime.log_cursor import LogCursor
from wharfside_agent.turns import Turn
from wharfside_protocol.io_frames import Chunk, Position, StreamName

SLICE_BYTES = 16 * LINE_BYTES
"""A frame of parts as long as conmon makes them."""

_LEAST_RATIO = LINE_BYTES / (LINE_BYTES - HEAD_BYTES - 1)
"""Of log to text, where lines are as long as conmon makes them; with short ones it is more."""

MAX_CHUNKS = 1000
"""A Data frame takes 1024."""


class LogReader:
    """ports.logs.LogSource over a log of run `run`.

    `end`: None, or where it ends, a line more or less.

    `at_close` is called once.
    """

    def __init__(
        self,
        cursor: LogCursor,
        run: int,
        wish: LogWish,
        end: int | None,
        at_close: Callable[[], None],
    ) -> None:
        self._cursor = cursor
        self._at_close = at_close
        self._run = run
        self._wish = wish
        self._timed = wish.times or wish.until is not None
        self._end = end
        self._within: Head | None = None
        self._over = False
        self._ratio = _LEAST_RATIO
        self._closed = False
        self._turn = Turn()
        self._find_line()

    async def read(self, most: int) -> Piece | Missing | None:
        while True:
            await self._turn.give_up()
            if self._closed:
                return None
            if lost := self._cursor.gap():
                return Missing(lost, self._position)
            taken = self._take(most)
            if isinstance(taken, Missing) or (taken is not None and taken.chunks):
                return taken
            if self._over:
                return None
            if taken is None:
                await self._cursor.more()

    def end_here(self) -> None:
        if self._end is None:
            self._end = self._cursor.offset + self._cursor.behind()
            self._cursor.wake()

    def hold(self) -> None:
        """Its files are about to be removed: it reads them to their end all the same."""
        self._cursor.hold()

    def behind(self) -> int:
        return self._cursor.behind()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._cursor.close()
            self._at_close()

    @property
    def _position(self) -> Position:
        return Position(run=self._run, offset=self._cursor.offset)

    def _find_line(self) -> None:
        """A place may lie within a line: whoever has little room is given a part of one."""
        cursor = self._cursor
        if cursor.offset == 0:
            return
        before = cursor.before(2 * LINE_BYTES)
        begun = len(before) - (before.rfind(b"\n") + 1)
        if not begun:
            return
        head = parse_head(before[len(before) - begun :] + cursor.peek(HEAD_BYTES))
        if head is not None and begun >= HEAD_BYTES:
            self._within = head
        elif head is not None:
            cursor.offset -= begun

    def _take(self, most: int) -> Piece | Missing | None:
        """What lies at the cursor, perhaps nothing that is wanted; None: there is no more yet."""
        cursor, complete = self._cursor, self._cursor.complete
        if self._ended():
            self._over = True
            return None
        if self._within is not None:
            if block := cursor.peek(self._most(most)):
                return self._rest_of_line(self._within, block)
            if not complete:
                return None
            self._within = None
        asked = self._most(int(most * self._ratio) + HEAD_BYTES)
        block = cursor.peek(asked)
        used, found = self._fitting(block, most)
        if used or self._over:
            cursor.offset += used
            return self._piece(found)
        if complete and not block:
            self._over = not cursor.next_file()
            return None if self._over else Piece(())
        if complete or len(block) == asked or b"\n" in block:
            return self._begin_line(block)
        return None

    def _ended(self) -> bool:
        """Once a line that was begun is done, unless an exact end is wanted."""
        offset, exact = self._cursor.offset, self._wish.end
        if exact is not None:
            return offset >= exact
        return self._end is not None and offset >= self._end and self._within is None

    def _most(self, most: int) -> int:
        exact = self._wish.end
        left = most if exact is None else exact - self._cursor.offset
        return min(SLICE_BYTES, most, left)

    def _fitting(self, block: bytes, most: int) -> tuple[int, list[Run]]:
        """Whole lines with at most `most` bytes of text."""
        used, found = self._runs(block)
        text = sum(len(run.text) for run in found)
        if text > most:
            self._over = False
            used, found = self._runs(block[: most + HEAD_BYTES])
            text = sum(len(run.text) for run in found)
        if text:
            self._ratio = max(used / text, _LEAST_RATIO)
        return used, found

    def _runs(self, block: bytes) -> tuple[int, list[Run]]:
        used, found = 0, list[Run]()
        for run in runs(block, timed=self._timed):
            if not isinstance(run, Run):
                break
            if self._wish.until is not None and to_time(run.stamp) > self._wish.until:
                self._over = True
                break
            used = run.end
            if self._wish.wants(run.stream):
                found.append(run)
            if len(found) == MAX_CHUNKS:
                break
        return used, found

    def _begin_line(self, block: bytes) -> Piece | Missing:
        """A line that is longer than what is wanted, one without an end, or none."""
        head = parse_head(block)
        if head is None:
            torn = block.find(b"\n") + 1 or len(block)
            self._cursor.offset += torn
            return Missing(torn, self._position)
        self._within = head
        self._cursor.offset += HEAD_BYTES
        return Piece(())

    def _rest_of_line(self, head: Head, block: bytes) -> Piece:
        text, newline, _ = block.partition(b"\n")
        if newline:
            self._within = None
        self._cursor.offset += len(text) + len(newline)
        if newline and head.ends:
            text += newline
        wanted = text and self._wish.wants(head.stream)
        return self._piece([Run(head.stamp, head.stream, text, 0)] if wanted else [])

    def _piece(self, found: Iterable[Run]) -> Piece:
        if self._wish.times:
            chunks = [
                Chunk(stream=run.stream, data=run.text, time=to_time(run.stamp)) for run in found
            ]
        else:
            chunks = [Chunk(stream=stream, data=data) for stream, data in _joined(found)]
        return Piece(chunks, self._position)


def _joined(found: Iterable[Run]) -> Iterable[tuple[StreamName, bytes]]:
    """Without their times, neighbours of one stream are one."""
    stream, parts = StreamName.STDOUT, list[bytes]()
    for run in found:
        if run.stream is not stream and parts:
            yield stream, b"".join(parts)
            parts = []
        stream = run.stream
        parts.append(run.text)
    if parts:
        yield stream, b"".join(parts)
