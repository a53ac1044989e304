"""Frames as they are read: one written as ours are, and the same in another's hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgpack
import msgspec
import pytest

from wharfside_protocol.codec import encode
from wharfside_protocol.errors import Invalid
from wharfside_protocol.io_frames import (
    MAX_CHUNKS,
    MAX_FRAME_BYTES,
    MAX_WIRE_BYTES,
    Chunk,
    Data,
    StreamName,
)
from wharfside_protocol.io_reading import down_frame, up_frame

READERS = pytest.mark.parametrize("read", [up_frame, down_frame])
FRAME = Data(at=7, chunks=[Chunk(stream=StreamName.STDIN, data=b"\x00ab")])
LARGEST = Chunk(stream=StreamName.STDIN, data=bytes(MAX_FRAME_BYTES))
PLAIN = {"frame": "data", "at": 7, "chunks": [{"stream": "stdin", "data": b"\x00ab"}]}

Read = Callable[[bytes], Any]


def packed(plain: dict[str, Any]) -> bytes:
    written: bytes = msgpack.packb(plain)
    return written


@READERS
@pytest.mark.parametrize(
    "data",
    [
        encode(FRAME),
        packed(dict(reversed(PLAIN.items()))),
        packed(PLAIN | {"position": None}),
        packed(PLAIN | {"of a later version": {"nested": [1, "x"]}}),
        b"\xde\x00\x03" + packed(PLAIN)[1:],
    ],
    ids=["ours", "other-order", "nil", "more-fields", "longer-header"],
)
def test_whoever_wrote_it(read: Read, data: bytes) -> None:
    assert read(data) == FRAME


TWICE = b"\x84" + packed(PLAIN)[1:] + packed({"at": 8})[1:]
WITHOUT_END = b"\x83" + packed(PLAIN)[1:].replace(b"chunks\x91", b"chunks\xdd\xff\xff\xff\xff")


@READERS
@pytest.mark.parametrize(
    ("data", "says"),
    [
        (TWICE, "stands there twice"),
        (WITHOUT_END, "not msgpack"),
        (packed(PLAIN)[:-1], "not msgpack"),
        (packed(PLAIN | {"chunks": []}), "length >= 1"),
        (packed(PLAIN | {"chunks": PLAIN["chunks"] * (MAX_CHUNKS + 1)}), f"<= {MAX_CHUNKS}"),
        (packed(PLAIN | {"at": -1}), ">= 0"),
        (packed(PLAIN | {"frame": "no-such"}), "no-such"),
        (packed(PLAIN | {"chunks": [{"stream": "stdin", "data": "text"}]}), "bytes"),
        (bytes(MAX_WIRE_BYTES + 1), "at most"),
        (encode(msgspec.structs.replace(FRAME, chunks=[LARGEST] * 3)), "at most"),
    ],
)
def test_what_is_wrong_is_told(read: Read, data: bytes, says: str) -> None:
    with pytest.raises(Invalid, match=says):
        read(data)
