"""conmon's log lines (`k8s-file`), taken apart into the two streams again. Pure.

A line is `RFC3339nano stdout|stderr P|F text`: F ends a line of the process's, P does
not (conmon, ctr_logging.c). The text is bytes: whatever the process wrote but newlines.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from wharfside_protocol.commands import Output


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line; `text` has its newline where the process wrote one."""

    time: str
    stream: str
    text: bytes


def parse_line(line: bytes) -> LogLine | None:
    """None: not such a line (a torn one, where the disk was full)."""
    parts = line.split(b" ", 3)
    if len(parts) != 4 or parts[1] not in (b"stdout", b"stderr") or parts[2] not in (b"P", b"F"):
        return None
    time, stream, kind, text = parts
    ending = b"\n" if kind == b"F" else b""
    return LogLine(time.decode(errors="replace"), stream.decode(), text + ending)


class Heads:
    """The first `limit` bytes of each stream, fed with the log in pieces of any size."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rest = b""
        self._heads = {"stdout": bytearray(), "stderr": bytearray()}
        self._cut = {"stdout": False, "stderr": False}

    @property
    def full(self) -> bool:
        """Nothing that follows could change the result."""
        return all(self._cut.values())

    def feed(self, chunk: bytes) -> None:
        for line in self._lines(chunk):
            parsed = parse_line(line)
            if parsed is not None:
                self._add(parsed)

    def _lines(self, chunk: bytes) -> Iterator[bytes]:
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        yield from whole

    def _add(self, line: LogLine) -> None:
        head = self._heads[line.stream]
        room = self._limit - len(head)
        head += line.text[:room]
        self._cut[line.stream] |= len(line.text) > room

    def output(self, *, cut: bool = False) -> Output:
        """`cut`: the log has more than was fed, so neither stream is known to be whole."""
        return Output(
            stdout=bytes(self._heads["stdout"]),
            stderr=bytes(self._heads["stderr"]),
            stdout_truncated=self._cut["stdout"] or cut,
            stderr_truncated=self._cut["stderr"] or cut,
        )
