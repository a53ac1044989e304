"""Frames as they are written: the very bytes of `encode`, in a twelfth of its time where they hold
many lines, and without a copy where they hold much of one.

Of output in bulk nothing is to be tidied: no field of a `Data` is free in its form.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from wharfside_protocol.codec import MAX_MESSAGE_BYTES, encode
from wharfside_protocol.errors import Invalid
from wharfside_protocol.io_frames import Data, Frame

LARGE_BYTES = 16 * 1024
"""Less is copied sooner than it is handed on as a part of its own."""

FEW_CHUNKS = 15
"""With more, none is large enough to be worth it: they are lines. (And no map or list of what is
written here has more items, so that its header is one byte: msgpack/spec.md.)"""

Written = TypeVar("Written", bytes, "Parts")

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


def encode_frame(frame: Frame) -> bytes | Parts:
    """The very bytes of codec.encode; chunks of LARGE_BYTES and more are parts as they are.

    Raises:
        Invalid: see codec.encode.
    """
    if not isinstance(frame, Data):
        return encode(frame)
    if len(frame.chunks) > FEW_CHUNKS:
        return _bounded(_encoded(frame))
    parts: list[bytes] = []
    small = bytearray()
    _write(msgspec.to_builtins(frame, builtin_types=(bytes,)), small, parts)
    return _bounded(Parts([*parts, bytes(small)] if small else parts))


def is_written_as(data: bytes, written: bytes | Parts) -> bool:
    """Whether these are the very bytes."""
    if not isinstance(written, Parts):
        return data == written
    at = 0
    for part in written.parts:
        if not data.startswith(part, at):
            return False
        at += len(part)
    return at == len(data)


def _bounded(written: Written) -> Written:
    if len(written) > MAX_MESSAGE_BYTES:
        raise Invalid(f"message of {len(written)} bytes; at most {MAX_MESSAGE_BYTES} travel")
    return written


def _write(value: Any, small: bytearray, parts: list[bytes]) -> None:
    """Depth first; what is in `small` comes before the next large part."""
    if isinstance(value, dict):
        small.append(0x80 | len(value))
        for key, item in value.items():
            small += _encoded(key)
            _write(item, small, parts)
    elif isinstance(value, list):
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
