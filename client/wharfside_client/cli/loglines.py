"""How `logs` shows output: with times before its lines, or as JSON, an object a line; pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wharfside_protocol.io_frames import Chunk, Lost, Position, StreamName

LINE_BYTES = 64 * 1024
"""A longer line is told in pieces."""


def pieces(data: bytes) -> Iterator[bytes]:
    """`data` cut behind each newline, and nowhere else."""
    begin = 0
    while begin < len(data):
        end = data.find(b"\n", begin) + 1 or len(data)
        yield data[begin:end]
        begin = end


def marker(count: int, newline: str = "\n") -> bytes:
    """Stands among the output where `count` bytes of it are missing."""
    return f"wharfside: {count} bytes of output are lost here{newline}".encode()


@dataclass
class Stamped:
    """Puts its time before each line, at once: also of a line that has not ended yet."""

    _within: set[StreamName] = field(default_factory=set)

    def text(self, chunk: Chunk) -> bytes:
        stamp = f"{chunk.time or '-'} ".encode()
        text = b""
        for piece in pieces(chunk.data):
            text += piece if chunk.stream in self._within else stamp + piece
            (self._within.discard if piece.endswith(b"\n") else self._within.add)(chunk.stream)
        return text


@dataclass
class Objects:
    """Lines as objects `{time, stream, text, position}`; `time` is that of a line's begin.

    `position` is where the log goes on; null where that is not known (within a frame), and
    while a line of either stream has not ended: to go on from there would cut it.
    """

    _begun: dict[StreamName, tuple[str | None, bytes]] = field(default_factory=dict)

    def of(self, chunk: Chunk, position: Position | None) -> list[dict[str, Any]]:
        """`position`: behind this chunk, where that is known."""
        told = list(self._lines(chunk))
        if told and not self._begun:
            told[-1]["position"] = _plain(position)
        return told

    def lost(self, lost: Lost) -> list[dict[str, Any]]:
        """What is begun stays without its end."""
        return [*self.rest(), {"lost": lost.count, "position": _plain(lost.position)}]

    def rest(self, position: Position | None = None) -> list[dict[str, Any]]:
        """Lines that no newline ended; `position`: behind all of it."""
        begun, self._begun = self._begun, {}
        told = [_object(stream, time, text) for stream, (time, text) in begun.items()]
        for last in told[-1:]:
            last["position"] = _plain(position)
        return told

    def _lines(self, chunk: Chunk) -> Iterator[dict[str, Any]]:
        for piece in pieces(chunk.data):
            time, text = self._begun.pop(chunk.stream, (chunk.time, b""))
            text += piece
            if text.endswith(b"\n") or len(text) >= LINE_BYTES:
                yield _object(chunk.stream, time, text)
            else:
                self._begun[chunk.stream] = (time, text)


def _object(stream: StreamName, time: str | None, text: bytes) -> dict[str, Any]:
    return {"time": time, "stream": str(stream), "text": text, "position": None}


def _plain(position: Position | None) -> dict[str, int] | None:
    return None if position is None else {"run": position.run, "offset": position.offset}
