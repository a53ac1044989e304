"""A record to be written in parts: the very bytes of `encode`, without a copy of what is large.

Output in bulk is copied by each pair of hands that it goes through; the codec's were one of them.
"""

from __future__ import annotations

from typing import Any

import msgspec

from wharfside_protocol.codec import MAX_MESSAGE_BYTES, to_plain
from wharfside_protocol.errors import Invalid
from wharfside_protocol.records import Record

LARGE_BYTES = 16 * 1024
"""Less is copied sooner than it is handed on as a part of its own."""

FEW_ITEMS = 15
"""A map or list of more is written as one: among so many nothing is large enough to be worth it."""

_encoded = msgspec.msgpack.Encoder().encode


class Parts:
    """Bytes in several places, one behind the other; len() is that of the whole."""

    __slots__ = ("_size", "parts")

    def __init__(self, parts: list[bytes]) -> None:
        self.parts = parts
        self._size = sum(map(len, parts))

    def __len__(self) -> int:
        return self._size

    def __bytes__(self) -> bytes:
        return b"".join(self.parts)


def encode_parts(record: Record) -> Parts:
    """`record` as a msgpack map; bytes of LARGE_BYTES and more in it are parts as they are.

    Raises:
        Invalid: see codec.encode.
    """
    parts: list[bytes] = []
    small = bytearray()
    _write(to_plain(record), small, parts)
    written = Parts([*parts, bytes(small)] if small else parts)
    if len(written) > MAX_MESSAGE_BYTES:
        raise Invalid(f"message of {len(written)} bytes; at most {MAX_MESSAGE_BYTES} travel")
    return written


def _write(value: Any, small: bytearray, parts: list[bytes]) -> None:
    """Depth first; what is in `small` comes before the next large part (msgpack/spec.md)."""
    if isinstance(value, dict) and len(value) <= FEW_ITEMS:
        small.append(0x80 | len(value))
        for key, item in value.items():
            small += _encoded(key)
            _write(item, small, parts)
    elif isinstance(value, list) and len(value) <= FEW_ITEMS:
        small.append(0x90 | len(value))
        for item in value:
            _write(item, small, parts)
    elif isinstance(value, bytes) and len(value) >= LARGE_BYTES:
        small += _bytes_header(len(value))
        parts += (bytes(small), value)
        small.clear()
    else:
        small += _encoded(value)


def _bytes_header(size: int) -> bytes:
    """bin 16 and bin 32: LARGE_BYTES is beyond bin 8."""
    return b"\xc5" + size.to_bytes(2) if size < 1 << 16 else b"\xc6" + size.to_bytes(4)
