"""Two ends of a session over a bus that loses, repeats and reorders: all comes, once, in order."""

from __future__ import annotations

import heapq
import itertools
import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wharfside_protocol.codec import encode
from wharfside_protocol.errors import Invalid
from wharfside_protocol.io_flow import MAX_FRAMES, Incoming, Outgoing
from wharfside_protocol.io_frames import (
    COST,
    MAX_CHUNKS,
    MAX_FRAME_BYTES,
    MAX_WIRE_BYTES,
    Ack,
    Again,
    Chunk,
    Data,
    Eof,
    Frame,
    Lost,
    Ping,
    Position,
    Reset,
    Resize,
    Sequenced,
    StreamName,
)
from wharfside_protocol.io_link import ACK_DELAY_S, AGAIN_S, Link, Times
from wharfside_protocol.io_reading import down_frame, up_frame

WINDOW = 4096
TIMES = Times(idle_s=60.0, ping_s=5.0)
LONG_S = 10_000.0
"""More than a session over any bus of these takes."""


def data(at: int, content: bytes) -> Data:
    return Data(at=at, chunks=[Chunk(stream=StreamName.STDIN, data=content)])


@dataclass
class End:
    """Sends `pieces` as far as there is room, then Eof; reads a frame each `pace_s`."""

    pieces: list[bytes]
    pace_s: float
    link: Link = field(init=False)
    got: list[Sequenced] = field(default_factory=list)
    reads_at: float = 0.0
    most_kept: int = 0

    def __post_init__(self) -> None:
        self.link = Link(Outgoing(WINDOW, WINDOW), Incoming(WINDOW), TIMES, 0.0)

    def step(self, now: float) -> list[Frame]:
        assert self.link.tick(now), "the other end is there"
        out, into = self.link.out, self.link.into
        while self.pieces and out.room >= len(self.pieces[0]) and not out.full:
            out.add(data(out.end, self.pieces.pop(0)))
        if not self.pieces and not out.over and not out.full:
            out.add(Eof(at=out.end))
        if self.reads_at <= now and (frame := into.next()) is not None:
            self.got.append(frame)
            self.reads_at = now + self.pace_s
            self.link.took(now)
        self.most_kept = max(self.most_kept, out.end - out.acked)
        sent = []
        while (found := self.link.next(now)) is not None:
            sent.append(found)
        return sent

    @property
    def due(self) -> float:
        reads_at = self.reads_at if self.link.into.next() is not None else LONG_S
        return min(self.link.due, reads_at)

    @property
    def done(self) -> bool:
        out, into = self.link.out, self.link.into
        return out.over and out.all_acked and into.over and into.next() is None


@dataclass
class Bus:
    """Loses, repeats and delays by chance; `away` loses all."""

    chance: random.Random
    loss: float
    repeat: float
    jitter_s: float
    away: tuple[float, float] = (0.0, 0.0)

    def arrivals(self, now: float) -> list[float]:
        if self.away[0] <= now < self.away[1]:
            return []
        times = 1 + (self.chance.random() < self.repeat)
        return [
            now + 0.001 + self.chance.random() * self.jitter_s
            for _ in range(times)
            if self.chance.random() >= self.loss
        ]


def run(left: End, right: End, bus: Bus) -> float:
    """Until both ends have had everything; how long it took."""
    on_way: list[tuple[float, int, End, Frame]] = []
    count, now = itertools.count(), 0.0
    while not (left.done and right.done):
        for end, other in ((left, right), (right, left)):
            for frame in end.step(now):
                for at in bus.arrivals(now):
                    heapq.heappush(on_way, (at, next(count), other, frame))
        arrival = on_way[0][0] if on_way else LONG_S
        now = max(min(arrival, left.due, right.due), now)
        assert now < LONG_S, "it stands still"
        while on_way and on_way[0][0] <= now:
            _, _, end, frame = heapq.heappop(on_way)
            end.link.received(frame, now)
    return now


def contents(end: End) -> bytes:
    chunks = [c for frame in end.got if isinstance(frame, Data) for c in frame.chunks]
    return b"".join(chunk.data for chunk in chunks)


some_pieces = st.lists(st.binary(min_size=0, max_size=1500), max_size=40)


@given(
    seed=st.integers(0, 2**32),
    ups=some_pieces,
    downs=some_pieces,
    loss=st.floats(0, 0.4),
    repeat=st.floats(0, 0.3),
    jitter_s=st.sampled_from([0.0, 0.01, 0.4]),
    pace_s=st.sampled_from([0.0, 0.02, 3.0]),
)
def test_all_comes_once_and_in_order(
    seed: int,
    ups: list[bytes],
    downs: list[bytes],
    loss: float,
    repeat: float,
    jitter_s: float,
    pace_s: float,
) -> None:
    left, right = End(list(ups), 0.0), End(list(downs), pace_s)
    run(left, right, Bus(random.Random(seed), loss, repeat, jitter_s))
    assert contents(right) == b"".join(ups)
    assert contents(left) == b"".join(downs)
    assert max(left.most_kept, right.most_kept) <= WINDOW + 2 * COST


def test_a_bus_that_was_away_is_made_up_for_within_a_probe() -> None:
    content = [random.Random(1).randbytes(1000) for _ in range(20)]
    left, right = End(list(content), 0.0), End([], 0.0)
    took = run(left, right, Bus(random.Random(1), 0.0, 0.0, 0.0, away=(0.003, 10.0)))
    assert contents(right) == b"".join(content)
    assert took < 10.0 + 2 * TIMES.ping_s


def test_nothing_is_sent_again_over_a_bus_that_loses_nothing() -> None:
    sent: list[Frame] = []

    class Watched(End):
        def step(self, now: float) -> list[Frame]:
            frames = super().step(now)
            sent.extend(frames)
            return frames

    left, right = Watched([bytes(1000)] * 50, 0.0), End([], 0.0)
    run(left, right, Bus(random.Random(1), 0.0, 0.0, 0.0))
    assert len([frame for frame in sent if isinstance(frame, Data)]) == 50


def make() -> Link:
    return Link(Outgoing(WINDOW, WINDOW), Incoming(WINDOW), TIMES, 0.0)


def sent(link: Link, now: float) -> list[Frame]:
    frames = []
    while (frame := link.next(now)) is not None:
        frames.append(frame)
    return frames


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (Ack(at=1, window=WINDOW), "only 0 was sent"),
        (Again(at=1), "only 0 was sent"),
        (Reset(error=Invalid("x").to_body()), "Reset"),
    ],
    ids=["ack of the unsent", "again of the unsent", "not its business"],
)
def test_what_no_right_side_sends_is_refused(frame: Frame, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        make().received(frame, 0.0)


def test_data_that_begins_beyond_the_window_is_refused() -> None:
    link = make()
    link.received(data(0, bytes(WINDOW - COST - 1)), 0.0)
    link.received(data(WINDOW - 1, bytes(100)), 0.0)
    with pytest.raises(Invalid, match="the window ends at 4096"):
        link.received(data(link.into.expected, b"x"), 0.0)


def test_data_after_the_end_is_refused_and_a_resize_is_not() -> None:
    link = make()
    link.received(Eof(at=0), 0.0)
    link.received(Resize(at=COST, rows=24, columns=80), 0.0)
    with pytest.raises(Invalid, match="ended before it"):
        link.received(data(2 * COST, b"x"), 0.0)


def test_frames_without_number_are_refused() -> None:
    link = make()
    for number in range(MAX_FRAMES):
        link.received(Resize(at=number * COST, rows=24, columns=80), 0.0)
    with pytest.raises(Invalid, match="frames"):
        link.received(Resize(at=MAX_FRAMES * COST, rows=24, columns=80), 0.0)


def test_empty_chunks_take_room_too() -> None:
    link = make()
    link.received(Data(at=0, chunks=[Chunk(stream=StreamName.STDIN, data=b"")] * 64), 0.0)
    with pytest.raises(Invalid, match="window"):
        link.received(data(64 * COST, b""), 0.0)


def test_a_wish_that_is_repeated_is_granted_only_so_often() -> None:
    link = make()
    link.out.add(data(0, bytes(WINDOW)))
    assert len(sent(link, 0.0)) == 1
    for _ in range(100):
        link.received(Again(at=0), 1.0)
        sent(link, 1.0)
    link.received(Again(at=0), 1.0)
    assert not [frame for frame in sent(link, 1.0) if isinstance(frame, Data)]
    assert link.due <= 1.0 + AGAIN_S
    assert [frame for frame in sent(link, 1.0 + AGAIN_S) if isinstance(frame, Data)]


def test_a_gap_is_asked_for_at_once_and_once() -> None:
    link = make()
    link.received(data(0, b"ab"), 0.0)
    size = 2 + COST
    for number in (2, 3, 4):
        link.received(data(number * size, b"cd"), 0.0)
    assert sent(link, 0.0) == [Again(at=size)]
    link.received(Ping(at=5 * size), 0.0)
    assert Again(at=size) in sent(link, 0.0), "the first may be lost"


def test_a_late_ack_and_a_late_wish_change_nothing() -> None:
    link = make()
    link.out.add(data(0, b"ab"))
    link.out.add(data(link.out.end, b"cd"))
    sent(link, 0.0)
    link.received(Ack(at=link.out.end, window=WINDOW), 0.1)
    link.received(Ack(at=2 + COST, window=0), 0.2)
    link.received(Again(at=2 + COST), 0.2)
    assert link.out.taken == 4
    assert link.out.all_acked and link.out.room == WINDOW
    assert not [frame for frame in sent(link, 1.0) if isinstance(frame, Data)]


def test_a_wider_window_than_was_agreed_is_not_used() -> None:
    link = make()
    link.received(Ack(at=0, window=2**53 - 1), 0.0)
    assert link.out.room == WINDOW


def test_a_reader_that_takes_nothing_stops_the_sender_and_is_there_still() -> None:
    writer, reader = make(), make()
    while writer.out.room:
        writer.out.add(data(writer.out.end, bytes(min(1000, writer.out.room))))
    now = 0.0
    while now < 10 * TIMES.idle_s:
        assert writer.tick(now) and reader.tick(now)
        for frame in sent(writer, now):
            reader.received(frame, now)
        for frame in sent(reader, now):
            writer.received(frame, now)
        now = min(writer.due, reader.due)
    assert WINDOW <= writer.out.end <= WINDOW + COST


def test_a_side_that_is_silent_is_gone() -> None:
    link, now = make(), 0.0
    while link.tick(now):
        sent(link, now)
        now = link.due
    assert TIMES.idle_s < now < TIMES.idle_s + 1


def test_a_process_that_was_stopped_hears_first_what_came_meanwhile() -> None:
    link = make()
    assert link.tick(1000.0)
    assert [type(frame) for frame in sent(link, 1000.0)] == [Ping]


@pytest.mark.parametrize("stopped_s", [0.2, 0.5, 0.8, 1.2, 1.6, 2.0, 3.0])
def test_however_short_its_patience_is(stopped_s: float) -> None:
    """The other side was heard as long ago as may be, when this one was stopped, and again."""
    link = Link(Outgoing(WINDOW, WINDOW), Incoming(WINDOW), Times(2.0, 1.0), 0.0)
    now = 1.0
    for _ in range(2):
        assert link.tick(now)
        sent(link, now)
        now = max(link.due, now + stopped_s)
        assert link.tick(now)
        link.received(Ping(at=0), now + 0.1)
        now += 1.0


def test_output_is_refused_where_input_is_due() -> None:
    with pytest.raises(Invalid, match="FrameUp"):
        up_frame(encode(Lost(at=0, count=1)))


def test_the_largest_right_frame_is_not_too_large() -> None:
    size = MAX_FRAME_BYTES // MAX_CHUNKS
    time = "2026-01-31T09:00:00.123456789Z"
    chunk = Chunk(stream=StreamName.ARCHIVE, data=bytes(size), time=time)
    place = Position(run=2**53 - 1, offset=2**53 - 1)
    frame = Data(at=2**53 - 1, chunks=[chunk] * MAX_CHUNKS, position=place)
    assert down_frame(encode(frame)) == frame
    with pytest.raises(Invalid, match="at most"):
        up_frame(encode(frame) + bytes(MAX_WIRE_BYTES))


def test_due_tells_whom_to_wake() -> None:
    """What comes in order asks for nothing, so nobody is woken for it."""
    link = Link(Outgoing(WINDOW, WINDOW), Incoming(WINDOW), TIMES, 0.0)
    asleep_until = link.due
    link.received(data(0, b"x"), 1.0)
    assert link.due == asleep_until
    link.took(1.0)
    assert link.due == 1.0 + ACK_DELAY_S
    link.received(data(1000, b"after a gap"), 1.0)
    assert link.due == 0 and link.next(1.0) == Again(at=1 + COST)
    link.out.add(data(0, b"y"))
    assert link.due == 0 and link.next(1.0) == data(0, b"y")
    assert link.next(1.0) is None and link.due == 1.0 + ACK_DELAY_S
    link.received(Ping(at=0), 1.05)
    assert link.due == 1.05
    link.reconnected(1.05)
    assert link.due == 0
