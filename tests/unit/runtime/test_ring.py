"""The ring of unlogged output: whatever falls out is counted, whoever reads what and when."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from wharfside_agent.ports.io import Missing, Piece
from wharfside_agent.runtime.ring import Ring, RingReader
from wharfside_protocol.io_frames import StreamName

OUT, ERR = StreamName.STDOUT, StreamName.STDERR

writes = st.tuples(st.sampled_from([OUT, ERR]), st.integers(1, 3000))
steps = st.lists(st.one_of(writes, st.integers(1, 5000)), max_size=60)


@given(steps, st.integers(1, 8000))
def test_what_is_read_and_what_is_missing_is_all_that_was_written(
    steps: list[tuple[StreamName, int] | int], limit: int
) -> None:
    """A write, or a read of so much at most; then all the rest."""

    async def play() -> None:
        ring = Ring(limit)
        reader = ring.reader(whole=True)
        written, read = bytearray(), 0
        for step in steps:
            if isinstance(step, tuple):
                data = bytes((len(written) + n) % 251 for n in range(step[1]))
                ring.add(step[0], data)
                written += data
            elif len(written) > read:
                read = _check(await reader.read(step), written, read, step)
        ring.finish()
        while (item := await reader.read(4096)) is not None:
            read = _check(item, written, read, 4096)
        assert read == len(written)

    asyncio.run(play())


def _check(item: Piece | Missing | None, written: bytearray, read: int, most: int) -> int:
    assert item is not None
    if isinstance(item, Missing):
        assert item.count > 0
        return read + item.count
    data = b"".join(chunk.data for chunk in item.chunks)
    assert 0 < len(data) <= most
    assert data == written[read : read + len(data)]
    return read + len(data)


async def test_streams_are_kept_apart_and_neighbours_joined() -> None:
    ring = Ring()
    for stream, data in ((OUT, b"a"), (OUT, b"b"), (ERR, b"c"), (OUT, b"d")):
        ring.add(stream, data)
    piece = await ring.reader(whole=True).read(100)
    assert isinstance(piece, Piece)
    found = [(chunk.stream, chunk.data) for chunk in piece.chunks]
    assert found == [(OUT, b"ab"), (ERR, b"c"), (OUT, b"d")]


async def test_a_reader_from_now_on_waits_for_what_comes() -> None:
    ring = Ring()
    ring.add(OUT, b"before")
    reading = asyncio.ensure_future(ring.reader().read(100))
    await asyncio.sleep(0)
    assert not reading.done()
    ring.add(OUT, b"after")
    piece = await reading
    assert isinstance(piece, Piece)
    assert [chunk.data for chunk in piece.chunks] == [b"after"]


async def test_a_reader_that_is_closed_ends_while_it_waits() -> None:
    reader: RingReader = Ring().reader()
    reading = asyncio.ensure_future(reader.read(100))
    await asyncio.sleep(0)
    reader.close()
    assert await reading is None


async def test_many_small_writes_cost_no_more_than_the_limit() -> None:
    ring = Ring(100_000)
    for _ in range(50_000):
        ring.add(OUT, b"x")
    assert len(ring.kept) < 1000
    lost = await ring.reader(whole=True).read(100)
    assert isinstance(lost, Missing) and lost.count == 50_000 - len(ring.kept)
