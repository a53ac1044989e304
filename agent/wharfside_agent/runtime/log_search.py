"""Finds places in a log: where a time begins, where its last lines do."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from wharfside_agent.core.log_lines import HEAD_BYTES, LINE_BYTES, Head, line_heads, to_time
from wharfside_agent.ports.logs import LogWish, Tail
from wharfside_agent.runtime.log_files import LogFiles
from wharfside_protocol.io_frames import StreamName

_BLOCK_BYTES = 64 * 1024


def since(files: LogFiles, time: str) -> int:
    """Where the first line of `time` or later begins; times rise but for a clock that is set.

    A few reads: of one line a file, then by halves within the file.
    """
    starts = files.files
    begun = [start for start in starts if (first := _time_at(files, start, 0)) and first < time]
    if not begun:
        return starts[0]
    start = begun[-1]
    with _opened(files, start) as fd:
        low, high = 0, os.fstat(fd).st_size if fd >= 0 else 0
        while high - low > 2 * LINE_BYTES:
            middle = (low + high) // 2
            found = _next_line(fd, middle)
            if found is None or found[1] >= time:
                high = middle
            else:
                low = found[0]
        return start + _first_from(fd, low, time)


def _time_at(files: LogFiles, start: int, offset: int) -> str | None:
    with _opened(files, start) as fd:
        found = _lines(os.pread(fd, HEAD_BYTES, offset)) if fd >= 0 else []
        return found[0][1] if found else None


def _next_line(fd: int, offset: int) -> tuple[int, str] | None:
    """The first line that begins behind `offset`."""
    block = os.pread(fd, 2 * LINE_BYTES, offset)
    begun = block.find(b"\n") + 1
    found = _lines(block[begun:]) if begun else []
    return (offset + begun + found[0][0], found[0][1]) if found else None


def _first_from(fd: int, low: int, time: str) -> int:
    """Within what the halving left."""
    at = low
    while block := os.pread(fd, 4 * LINE_BYTES, at):
        for begun, told in _lines(block):
            if told >= time:
                return at + begun
        ends = block.rfind(b"\n") + 1
        at += ends or len(block)
    return at


def _lines(block: bytes) -> list[tuple[int, str]]:
    return [(begun, to_time(head.stamp)) for begun, head in line_heads(block)]


async def tail(files: LogFiles, lines: int, wish: LogWish) -> Tail:
    """The last `lines` that are wanted, at most.

    Parts of a line count as one; so does a stream's last line that has no end yet.
    """
    count, offset, seen = 0, files.end, set[StreamName]()
    async for place, head in _backwards(files):
        if place < wish.offset:
            break
        late = wish.until is not None and to_time(head.stamp) > wish.until
        if late or not wish.wants(head.stream):
            continue
        if head.ends or head.stream not in seen:
            if count == lines:
                break
            count += 1
        seen.add(head.stream)
        offset = place
    return Tail(offset, count)


async def _backwards(files: LogFiles) -> AsyncIterator[tuple[int, Head]]:
    """All lines and where they begin, from the end on; one block a turn of the loop."""
    for start in reversed(files.files):
        with _opened(files, start) as fd:
            end = os.fstat(fd).st_size if fd >= 0 else 0
            while end > 0:
                await asyncio.sleep(0)
                at = max(end - _BLOCK_BYTES, 0)
                block = os.pread(fd, end - at, at)
                begun = block.find(b"\n") + 1 if at else 0
                for within, head in reversed(line_heads(block[begun:])):
                    yield start + at + begun + within, head
                # Where no line begins in so much, it is torn.
                end = at + begun if begun < len(block) else at


@contextmanager
def _opened(files: LogFiles, start: int) -> Iterator[int]:
    """-1 where rotation has removed it."""
    fd = files.open(start)
    try:
        yield fd
    finally:
        if fd >= 0:
            os.close(fd)
