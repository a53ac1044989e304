"""conmon's log (`k8s-file`), taken apart into the two streams again. Pure.

A line is `RFC3339nano stdout|stderr P|F text`: F ends a line of the process's, P does
not (conmon, ctr_logging.c). The text is bytes: whatever the process wrote but newlines.
Lines that conmon read at once (8 KiB) bear one time and lie together: they are taken
as one run, without an object for each line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from wharfside_protocol.commands import Output
from wharfside_protocol.io_frames import StreamName

STAMP_BYTES = 35
HEAD_BYTES = STAMP_BYTES + len(" stdout F ")

LINE_BYTES = 8 * 1024 + HEAD_BYTES + 1
"""No line is longer: conmon reads 8 KiB at a time."""

_STAMP = rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}[+-]\d\d:\d\d"
_HEAD = re.compile(rb"(" + _STAMP + rb") (stdout|stderr) ([PF]) ")
_LINE_HEAD = re.compile(rb"^" + _HEAD.pattern, re.MULTILINE)
_RUN = re.compile(
    rb"(" + _STAMP + rb" (stdout|stderr) )(?:F .*+\n\1)*([PF]) ",
)
_PREFIX_BYTES = HEAD_BYTES - len("F ")
_STREAMS = {b"stdout": StreamName.STDOUT, b"stderr": StreamName.STDERR}
_PART = {name: re.compile(_STAMP + b" " + name + b" P ") for name in _STREAMS}


@dataclass(frozen=True, slots=True)
class Head:
    """What a line begins with; `ends`: its newline is the process's."""

    stamp: bytes
    stream: StreamName
    ends: bool


class Run(NamedTuple):
    """Lines of one time and stream; `end`: where the next one begins in the block."""

    stamp: bytes
    stream: StreamName
    text: bytes
    end: int


class Torn(NamedTuple):
    """A line that is none (the disk was full while it was written)."""

    end: int


def parse_head(line: bytes) -> Head | None:
    """None: not the beginning of a line."""
    match = _HEAD.match(line)
    return None if match is None else Head(match[1], _STREAMS[match[2]], match[3] == b"F")


def runs(block: bytes, *, timed: bool = True) -> Iterator[Run | Torn]:
    """What lies in `block`, which begins with a line; its rest is no whole line.

    `timed` off: parts of a line that follow one another are one run, with the time of the first.
    """
    at, complete = 0, block.rfind(b"\n") + 1
    while at < complete:
        match = _RUN.match(block, at, complete)
        if match is None:
            end = block.index(b"\n", at) + 1
            yield Torn(end)
        elif not timed and match.start(3) == at + _PREFIX_BYTES and match[3] == b"P":
            text, end = _parts(block, at, complete, match[2])
            yield Run(block[at : at + STAMP_BYTES], _STREAMS[match[2]], text, end)
        else:
            end = block.index(b"\n", match.end()) + 1
            text = _text(block, at, match.start(3), end)
            yield Run(block[at : at + STAMP_BYTES], _STREAMS[match[2]], text, end)
        at = end


def _parts(block: bytes, at: int, complete: int, stream: bytes) -> tuple[bytes, int]:
    """Of output in bulk, of which conmon makes a part for each 8 KiB: as little work for each."""
    found, is_part = list[bytes](), _PART[stream].match
    while is_part(block, at, complete):
        end = block.index(b"\n", at + HEAD_BYTES)
        found.append(block[at + HEAD_BYTES : end])
        at = end + 1
    return b"".join(found), at


def _text(block: bytes, at: int, last: int, end: int) -> bytes:
    """Of lines with one beginning; `last`: the mark of the last one, the only one to be P."""
    text = block[last + 2 : end if block[last] == ord("F") else end - 1]
    if last == at + _PREFIX_BYTES:
        return text
    # No text has a newline in it, so nothing but a beginning can be taken for one.
    beginning = b"\n" + block[at : at + _PREFIX_BYTES] + b"F "
    before = block[at + HEAD_BYTES : last - _PREFIX_BYTES]
    # `replace` would look for each twice: once to count them.
    return b"\n".join(before.split(beginning)) + text


def line_heads(block: bytes) -> list[tuple[int, Head]]:
    """Where lines begin in `block`, which begins with one, and how."""
    return [
        (match.start(), Head(match[1], _STREAMS[match[2]], match[3] == b"F"))
        for match in _LINE_HEAD.finditer(block)
    ]


def to_time(stamp: bytes) -> str:
    """A line's time as the wire has it, nine digits: such texts are ordered as their times."""
    text = stamp.decode("ascii")
    if text.endswith("+00:00"):
        return text[:-6] + "Z"
    seconds, fraction = text[:19] + text[29:], text[19:29]
    utc = datetime.fromisoformat(seconds).astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}{fraction}Z"


class Heads:
    """The first `limit` bytes of each stream, fed with the log in pieces of any size."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rest = b""
        self._heads = {StreamName.STDOUT: bytearray(), StreamName.STDERR: bytearray()}
        self._cut = {StreamName.STDOUT: False, StreamName.STDERR: False}

    @property
    def full(self) -> bool:
        """Nothing that follows could change the result."""
        return all(self._cut.values())

    def feed(self, chunk: bytes) -> None:
        block = self._rest + chunk
        end = 0
        for run in runs(block):
            end = run.end
            if isinstance(run, Run):
                self._add(run)
        self._rest = block[end:]

    def _add(self, run: Run) -> None:
        head = self._heads[run.stream]
        room = self._limit - len(head)
        head += run.text[:room]
        self._cut[run.stream] |= len(run.text) > room

    def output(self, *, cut: bool = False) -> Output:
        """`cut`: the log has more than was fed, so neither stream is known to be whole."""
        return Output(
            stdout=bytes(self._heads[StreamName.STDOUT]),
            stderr=bytes(self._heads[StreamName.STDERR]),
            stdout_truncated=self._cut[StreamName.STDOUT] or cut,
            stderr_truncated=self._cut[StreamName.STDERR] or cut,
        )
