"""msgpack bytes as a reader goes through them: a line for each item, with what it is."""

from __future__ import annotations

from collections.abc import Iterator

import msgpack

WIDTH = 44
"""Columns of hexadecimal digits; what is longer is cut off there."""


def explained(data: bytes) -> str:
    """A line for each item of `data` in order: its bytes, and what they say."""
    return "\n".join(f"{_hex(piece):{WIDTH}}  {said}" for piece, said in _items(data))


def _hex(piece: bytes) -> str:
    text = piece.hex(" ", -64) if len(piece) == 1 else f"{piece[:1].hex()} {piece[1:].hex()}"
    return text if len(text) <= WIDTH else text[: WIDTH - 3] + "..."


def _items(data: bytes) -> Iterator[tuple[bytes, str]]:
    """Maps and lists give their head alone, then what is in them."""
    unpacker = msgpack.Unpacker()
    unpacker.feed(data)
    at = 0
    while at < len(data):
        kind, size = _head(data[at])
        if kind is None:
            said = _told(unpacker.unpack())
        else:
            said = f"{kind} of {size}"
            _ = unpacker.read_map_header() if kind == "map" else unpacker.read_array_header()
        yield data[at : unpacker.tell()], said
        at = unpacker.tell()


def _head(first: int) -> tuple[str | None, int]:
    """Of a short map or list (msgpack's fixmap and fixarray); the examples have no others."""
    if 0x80 <= first <= 0x8F:
        return "map", first - 0x80
    if 0x90 <= first <= 0x9F:
        return "list", first - 0x90
    assert first not in (0xDC, 0xDD, 0xDE, 0xDF), "too long for an example"
    return None, 0


def _told(value: object) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    words = {None: "nil", True: "true", False: "false"}
    return words[value] if value is None or isinstance(value, bool) else str(value)
