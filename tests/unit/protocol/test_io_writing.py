"""Frames as they are written: the bytes of `encode`, and what is large without a copy."""

from __future__ import annotations

import pytest

from wharfside_protocol.codec import MAX_MESSAGE_BYTES, encode
from wharfside_protocol.errors import Invalid
from wharfside_protocol.io_frames import Chunk, Data, Eof, Position, StreamName
from wharfside_protocol.io_writing import FEW_CHUNKS, LARGE_BYTES, Parts, encode_frame


def data(*sizes: int) -> Data:
    """Output with a chunk of each size, and what comes behind the chunks in a frame."""
    chunks = [Chunk(stream=StreamName.STDOUT, data=bytes(size)) for size in sizes]
    return Data(at=1 << 40, chunks=chunks, position=Position(run=1, offset=7))


@pytest.mark.parametrize(
    "sizes",
    [
        (LARGE_BYTES,),
        (LARGE_BYTES - 1, LARGE_BYTES, 0, 65_535),
        (65_536, 1, 65_537),
        (LARGE_BYTES,) * FEW_CHUNKS,
        (LARGE_BYTES,) * (FEW_CHUNKS + 1),
        (1,),
    ],
)
def test_they_are_the_bytes_of_the_whole(sizes: tuple[int, ...]) -> None:
    frame = data(*sizes)
    written = encode_frame(frame)
    assert bytes(written) == encode(frame)
    assert len(written) == len(encode(frame))


def test_what_is_large_is_not_copied() -> None:
    frame = data(LARGE_BYTES, 10, 100_000)
    written = encode_frame(frame)
    assert isinstance(written, Parts)
    parts = written.parts
    first, _, last = (chunk.data for chunk in frame.chunks)
    assert [id(part) for part in parts[1::2]] == [id(first), id(last)]
    assert len(parts) == 5


def test_a_frame_without_data_is_as_ever() -> None:
    assert encode_frame(Eof(at=3)) == encode(Eof(at=3))


@pytest.mark.parametrize("count", [10, FEW_CHUNKS + 1])
def test_one_that_is_too_large_is_refused_as_by_encode(count: int) -> None:
    frame = data(*(100_000,) * count)
    assert frame.size > MAX_MESSAGE_BYTES
    with pytest.raises(Invalid, match="at most"):
        encode_frame(frame)
