"""msgpack bytes as a reader goes through them: a line for each item, with what it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgpack

WIDTH, PAIR = 44, 60
"""Columns of hexadecimal digits; what is longer is cut off there."""


def explained(data: bytes) -> str:
    """A line for each item of `data` in order: its bytes, and what they say."""
    return _aligned(((_hex_of(piece), said) for piece, said in _items(data)), WIDTH)


def paired(data: bytes) -> str:
    """As `explained`, with each key of a map in the line of its value."""
    return _aligned(_pairs(_items(data)), PAIR)


def _pairs(
    items: Iterator[tuple[bytes, str]], depth: int = 0, key: tuple[str, ...] = (), name: str = ""
) -> Iterator[tuple[str, str]]:
    piece, said = next(items)
    yield "  ".join((*key, _hex_of(piece))), "  " * depth + name + said
    kind, size = _head(piece)
    for _ in range(size if kind else 0):
        if kind == "list":
            yield from _pairs(items, depth + 1)
        else:
            key_piece, key_said = next(items)
            yield from _pairs(items, depth + 1, (_hex_of(key_piece),), f"{key_said[1:-1]}: ")


def _hex_of(piece: bytes) -> str:
    return f"{piece[:1].hex()} {piece[1:].hex()}".rstrip()


def _aligned(lines: Iterable[tuple[str, str]], width: int) -> str:
    return "\n".join(
        f"{text if len(text) <= width else text[: width - 3] + '...':{width}}  {said}"
        for text, said in lines
    )


def _items(data: bytes) -> Iterator[tuple[bytes, str]]:
    """Maps and lists give their head alone, then what is in them."""
    unpacker = msgpack.Unpacker()
    unpacker.feed(data)
    at = 0
    while at < len(data):
        kind, size = _head(data[at : at + 3])
        if kind is None:
            said = _told(unpacker.unpack())
        else:
            said = f"{kind} of {size}"
            _ = unpacker.read_map_header() if kind == "map" else unpacker.read_array_header()
        yield data[at : unpacker.tell()], said
        at = unpacker.tell()


def _head(data: bytes) -> tuple[str | None, int]:
    """What begins there where it is a map or a list, and of how many."""
    first, size = data[0], int.from_bytes(data[1:3], "big")
    if 0x80 <= first <= 0x8F:
        return "map", first - 0x80
    if 0x90 <= first <= 0x9F:
        return "list", first - 0x90
    assert first not in (0xDD, 0xDF), "too long for an example"
    return {0xDC: "list", 0xDE: "map"}.get(first), size


def _told(value: object) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    words = {None: "nil", True: "true", False: "false"}
    return words[value] if value is None or isinstance(value, bool) else str(value)
