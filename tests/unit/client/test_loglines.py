"""What `logs` makes of output: times before lines, objects a line, positions to go on from."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wharfside_client.cli.loglines import LINE_BYTES, Objects, Stamped, pieces
from wharfside_protocol.io_frames import Chunk, Lost, Position, StreamName

OUT, ERR = StreamName.STDOUT, StreamName.STDERR


def chunk(data: bytes, stream: StreamName = OUT, time: str = "T1") -> Chunk:
    return Chunk(stream=stream, data=data, time=time)


def at(offset: int) -> Position:
    return Position(run=1, offset=offset)


def test_a_line_has_its_time_once_however_it_comes() -> None:
    stamped = Stamped()
    came = [chunk(b"one\ntw"), chunk(b"o", time="T2"), chunk(b"\nthree", time="T3")]
    assert b"".join(map(stamped.text, came)) == b"T1 one\nT1 two\nT3 three"


def test_the_streams_have_lines_of_their_own_and_a_time_may_be_unknown() -> None:
    stamped = Stamped()
    assert stamped.text(chunk(b"out")) == b"T1 out"
    assert stamped.text(chunk(b"err\n", ERR, "T2")) == b"T2 err\n"
    assert stamped.text(chunk(b"put\n")) == b"put\n"
    assert stamped.text(Chunk(stream=OUT, data=b"x\r\n")) == b"- x\r\n"


def test_objects_are_whole_lines_and_tell_where_to_go_on() -> None:
    objects = Objects()
    begun = [*objects.of(chunk(b"a\nb"), at(5)), *objects.of(chunk(b"c\n", ERR, "T2"), at(10))]
    assert [(o["stream"], o["time"], o["text"]) for o in begun] == [
        ("stdout", "T1", b"a\n"),
        ("stderr", "T2", b"c\n"),
    ]
    # to go on behind them would lose the begin of a line
    assert [o["position"] for o in begun] == [None, None]
    (ended,) = objects.of(chunk(b"!\n", time="T3"), at(20))
    assert (ended["time"], ended["text"]) == ("T1", b"b!\n")
    assert ended["position"] == {"run": 1, "offset": 20}


def test_what_is_lost_is_told_between_its_neighbours() -> None:
    objects = Objects()
    objects.of(chunk(b"cut"), at(5))
    cut, lost = objects.lost(Lost(at=0, count=7, position=at(12)))
    assert (cut["text"], cut["position"]) == (b"cut", None)
    assert lost == {"lost": 7, "position": {"run": 1, "offset": 12}}
    assert objects.rest() == []


def test_a_line_without_end_is_told_in_pieces_and_at_the_end() -> None:
    objects = Objects()
    (piece,) = objects.of(chunk(b"x" * LINE_BYTES), at(1))
    assert piece["text"] == b"x" * LINE_BYTES
    assert objects.of(chunk(b"y"), at(2)) == []
    (rest,) = objects.rest(at(2))
    assert (rest["text"], rest["position"]) == (b"y", {"run": 1, "offset": 2})


@given(st.lists(st.binary(max_size=20)))
def test_no_byte_is_lost_or_made_up(texts: list[bytes]) -> None:
    objects = Objects()
    told = [o for text in texts for o in objects.of(chunk(text), None)]
    assert b"".join(o["text"] for o in [*told, *objects.rest()]) == b"".join(texts)
    for text in texts:
        assert b"".join(pieces(text)) == text
