"""A log over its files: every byte once, from any place; of what is gone, the exact count."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.log_text import Lines, line, log_of, log_texts, stamp, written
from ulid import ULID

from wharfside_agent.core.placement import Places, RunPlace
from wharfside_agent.ports.io import Missing, Piece, Source
from wharfside_agent.ports.logs import LogName, LogWish
from wharfside_agent.runtime.log_rotation import LogLimits
from wharfside_agent.runtime.logs import DiskLogs
from wharfside_agent.watchers.growth import FileGrowth
from wharfside_protocol.errors import Invalid

NAME = LogName(str(ULID()), 1, "init")


class Log:
    """The files of one log in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        places = Places(folder / "run", folder / "state")
        self.path = RunPlace(places, NAME.incarnation, 1).log("init")
        self.path.parent.mkdir(parents=True)
        self.logs = DiskLogs(places, FileGrowth(), LogLimits())

    def write(self, pieces: list[bytes], *, gone: int = 0) -> None:
        """One file each, the last one conmon's own; the first `gone` are removed."""
        start = 0
        for number, piece in enumerate(pieces):
            last = number == len(pieces) - 1
            path = self.path if last else Path(f"{self.path}.{start}")
            if number >= gone:
                path.write_bytes(piece)
            start += len(piece)


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[Log]:
    log = Log(tmp_path)
    yield log
    log.logs.close()


async def everything(source: Source, most: int = 1 << 20) -> list[Piece | Missing]:
    got = list[Piece | Missing]()
    while (piece := await source.read(most)) is not None:
        assert isinstance(piece, Piece | Missing)
        got.append(piece)
    source.close()
    return got


def texts(got: list[Piece | Missing], stream: str) -> bytes:
    return b"".join(
        chunk.data
        for piece in got
        if isinstance(piece, Piece)
        for chunk in piece.chunks
        if chunk.stream == stream
    )


def split(lines: Lines, cuts: list[int]) -> list[bytes]:
    """The log of `lines` in files that begin with a line each."""
    parts, before = [], 0
    for cut in [*sorted(cut % (len(lines) + 1) for cut in cuts), len(lines)]:
        if (part := log_of(lines[before:cut])) or cut == len(lines):
            parts.append(part)
        before = cut
    return parts


@settings(deadline=None, max_examples=50)
@given(
    lines=log_texts,
    cuts=st.lists(st.integers(0, 20), max_size=4),
    most=st.integers(1, 120),
    stop=st.integers(0, 30),
)
def test_any_room_and_any_place_to_go_on_give_every_byte_once(
    lines: Lines, cuts: list[int], most: int, stop: int
) -> None:
    async def read(log: Log) -> None:
        first = log.logs.source(NAME, LogWish())
        got, offset = list[Piece | Missing](), 0
        while len(got) < stop and (piece := await first.read(most)) is not None:
            assert isinstance(piece, Piece) and piece.position is not None
            assert 0 < sum(len(chunk.data) for chunk in piece.chunks) <= most or not any(
                chunk.data for chunk in piece.chunks
            )
            got.append(piece)
            offset = piece.position.offset
        first.close()
        got += await everything(log.logs.source(NAME, LogWish(offset=offset)), most)
        for stream in ("stdout", "stderr"):
            assert texts(got, stream) == written(lines, stream)

    with TemporaryDirectory() as folder:
        log = Log(Path(folder))
        log.write(split(lines, cuts))
        asyncio.run(read(log))


async def test_what_rotation_removed_is_counted_to_the_byte(log: Log) -> None:
    parts = [log_of([("stdout", True, b"%d" % number)] * 3) for number in range(4)]
    log.write(parts, gone=2)
    got = await everything(log.logs.source(NAME, LogWish(offset=10)))
    missing = got[0]
    assert isinstance(missing, Missing) and missing.position is not None
    assert missing.count == len(parts[0]) + len(parts[1]) - 10
    assert missing.position.offset == len(parts[0]) + len(parts[1])
    assert texts(got, "stdout") == b"2\n" * 3 + b"3\n" * 3


async def test_a_torn_line_is_told_as_missing(log: Log) -> None:
    torn = b"the disk was full here\n"
    log.write([log_of([("stdout", True, b"a")]) + torn + log_of([("stdout", True, b"b")])])
    got = await everything(log.logs.source(NAME, LogWish()))
    assert [type(each) for each in got] == [Piece, Missing, Piece]
    assert isinstance(got[1], Missing) and got[1].count == len(torn)


async def test_a_line_whose_end_was_never_written_is_given_as_far_as_it_came(log: Log) -> None:
    log.write([log_of([("stdout", True, b"whole"), ("stdout", True, b"cut off")])[:-5]])
    got = await everything(log.logs.source(NAME, LogWish()))
    assert texts(got, "stdout") == b"whole\ncut"


async def test_one_stream_alone_and_times(log: Log) -> None:
    log.write([log_of([("stdout", True, b"o"), ("stderr", True, b"e")] * 2, times=True)])
    got = await everything(log.logs.source(NAME, LogWish(stdout=False, times=True)))
    assert texts(got, "stdout") == b""
    chunks = [chunk for piece in got if isinstance(piece, Piece) for chunk in piece.chunks]
    assert [(chunk.data, chunk.time) for chunk in chunks] == [
        (b"e\n", "2026-11-23T21:00:00.000010000Z"),
        (b"e\n", "2026-11-23T21:00:00.000030000Z"),
    ]


@pytest.mark.parametrize("first", [0, 1, 499, 500, 1999])
async def test_since_and_until_take_what_lies_between(log: Log, first: int) -> None:
    lines: Lines = [("stdout", True, b"%d" % number) for number in range(2000)]
    whole = log_of(lines, times=True)
    cut = whole.index(stamp(500))
    log.write([whole[:cut], whole[cut:]])
    since, until = (stamp(number).decode()[:-6] + "Z" for number in (first, first + 5))
    wish = LogWish(offset=log.logs.since(NAME, since), until=until)
    got = await everything(log.logs.source(NAME, wish))
    expected = range(first, min(first + 6, 2000))
    assert texts(got, "stdout") == b"".join(b"%d\n" % number for number in expected)


@pytest.mark.parametrize("last", [0, 1, 499, 500, 1998])
@pytest.mark.parametrize("count", [0, 1, 3, 5000])
async def test_the_tail_ends_where_until_does(log: Log, last: int, count: int) -> None:
    lines: Lines = [("stdout", True, b"%d" % number) for number in range(2000)]
    whole = log_of(lines, times=True)
    cut = whole.index(stamp(500))
    log.write([whole[:cut], whole[cut:]])
    wish = LogWish(until=stamp(last).decode()[:-6] + "Z")
    tail = await log.logs.tail(NAME, count, wish)
    got = await everything(log.logs.source(NAME, replace(wish, offset=tail.offset)))
    expected = range(max(last + 1 - count, 0), last + 1)
    assert texts(got, "stdout") == b"".join(b"%d\n" % number for number in expected)
    assert tail.lines == len(expected)


async def test_since_a_time_that_is_still_to_come_takes_nothing(log: Log) -> None:
    log.write([log_of([("stdout", True, b"x")] * 100, times=True)])
    offset = log.logs.since(NAME, "2027-01-01T00:00:00.000000000Z")
    assert await everything(log.logs.source(NAME, LogWish(offset=offset))) == []


async def test_the_tail_counts_the_last_line_of_each_stream_that_has_no_end(log: Log) -> None:
    lines: Lines = [
        ("stdout", True, b"a"),
        ("stdout", False, b"no end"),
        ("stderr", True, b"e"),
    ]
    log.write([log_of(lines)])
    tail = await log.logs.tail(NAME, 2, LogWish())
    got = await everything(log.logs.source(NAME, LogWish(offset=tail.offset)))
    assert (texts(got, "stdout"), texts(got, "stderr")) == (b"no end", b"e\n")
    assert tail.lines == 2


@settings(deadline=None, max_examples=50)
@given(lines=log_texts, cuts=st.lists(st.integers(0, 20), max_size=3), count=st.integers(0, 25))
def test_the_tail_has_the_last_lines_of_what_is_wanted(
    lines: Lines, cuts: list[int], count: int
) -> None:
    async def read(log: Log) -> None:
        wish = LogWish(stderr=False)
        tail = await log.logs.tail(NAME, count, wish)
        got = await everything(log.logs.source(NAME, LogWish(offset=tail.offset, stderr=False)))
        expected = written(lines, "stdout").splitlines(keepends=True)[-count:] if count else []
        assert texts(got, "stdout").endswith(b"".join(expected))
        assert len(texts(got, "stdout").splitlines()) <= count

    # conmon never writes a part without text
    lines = [(s, w, text.translate(None, _BREAKS) or b"x") for s, w, text in lines]
    with TemporaryDirectory() as folder:
        log = Log(Path(folder))
        log.write(split(lines, cuts))
        asyncio.run(read(log))


_BREAKS = bytes([0x0B, 0x0C, 0x0D, 0x1C, 0x1D, 0x1E, 0x85])
"""What `splitlines` takes for the end of a line, too."""


async def test_a_follower_sees_what_is_written_later_and_ends_when_it_is_closed(log: Log) -> None:
    log.path.write_bytes(log_of([("stdout", True, b"a")]))
    written_log = log.logs.watch(NAME, None, new=True)
    source = log.logs.source(NAME, LogWish(follow=True))
    assert texts([_piece(await source.read(100))], "stdout") == b"a\n"
    later = asyncio.ensure_future(source.read(100))
    with log.path.open("ab") as file:
        file.write(line(stamp(1), "stdout", True, b"half")[:-1])
        file.flush()
        await asyncio.sleep(0)
        file.write(b"\n")
    assert texts([_piece(await asyncio.wait_for(later, 20))], "stdout") == b"half\n"
    waiting = asyncio.ensure_future(source.read(100))
    await asyncio.sleep(0)
    source.close()
    assert await asyncio.wait_for(waiting, 20) is None
    written_log.close(over=False)


async def test_a_follower_ends_where_the_log_is_whole(log: Log) -> None:
    log.path.write_bytes(b"")
    written_log = log.logs.watch(NAME, None, new=True)
    source = log.logs.source(NAME, LogWish(follow=True))
    waiting = asyncio.ensure_future(source.read(100))
    await asyncio.sleep(0)
    log.path.write_bytes(log_of([("stdout", True, b"last")]))
    written_log.close(over=True)
    assert texts([_piece(await asyncio.wait_for(waiting, 20))], "stdout") == b"last\n"
    assert await source.read(100) is None
    source.close()


async def test_a_place_that_the_log_never_reached_is_refused(log: Log) -> None:
    log.write([log_of([("stdout", True, b"a")])])
    with pytest.raises(Invalid):
        log.logs.source(NAME, LogWish(offset=1000))


async def test_a_log_that_is_not_there_is_an_empty_one(log: Log) -> None:
    assert log.logs.runs(NAME.incarnation, "e1") == []
    name = LogName(NAME.incarnation, 1, "e1")
    assert await everything(log.logs.source(name, LogWish())) == []


def test_runs_are_those_that_have_a_log(log: Log) -> None:
    for name in ("1-init.log", "2-init.log.0", "2-init.log.55", "10-init.log", "3-init-2.log"):
        (log.path.parent / name).touch()
    assert log.logs.runs(NAME.incarnation, "init") == [1, 2, 10]


def _piece(got: object) -> Piece:
    assert isinstance(got, Piece)
    return got
