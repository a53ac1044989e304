"""Random and mutated bytes: a record or `Invalid`, in bounded time and memory.

A million cases under --soak. The seed is fixed, so that a failure comes again;
it names the bytes.
"""

from __future__ import annotations

import random
import resource
import struct
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.protocol.strategies import all_records, example

from wharfside_protocol import codec
from wharfside_protocol.codec import decode, encode, unpack
from wharfside_protocol.digest import command_digest
from wharfside_protocol.envelope import Command
from wharfside_protocol.errors import Invalid
from wharfside_protocol.records import Record

CASE_SECONDS = 2.0
"""CPU time of one case; a hostile message of the largest size takes 0.2 s."""
GROWTH_KB = 96 * 1024

_HEADS = bytes([*range(0x80, 0x85), *range(0x90, 0x95), *range(0xA0, 0xA4), *range(0xC0, 0xE0)])
_TOKENS = [bytes([head]) for head in _HEADS] + [
    b"\xa2id\xa812345678",
    b"\xa2op\xa4ping",
    b"\xa4node\xa2n1",
    b"\xa4args\x80",
    b"\xcf" + struct.pack(">Q", 2**53),
    b"\xcb" + struct.pack(">d", float("nan")),
    b"\xdd\x00\x01\xff\xff",
    b"\xd6\xff\0\0\0\0",
]

Mutation = Callable[[random.Random, bytearray], None]


def _flip(dice: random.Random, data: bytearray) -> None:
    data[dice.randrange(len(data))] = dice.randrange(256)


def _cut(dice: random.Random, data: bytearray) -> None:
    start = dice.randrange(len(data))
    del data[start : start + dice.randint(1, 8)]


def _insert(dice: random.Random, data: bytearray) -> None:
    at = dice.randrange(len(data) + 1)
    data[at:at] = dice.choice(_TOKENS) * dice.choice((1, 1, 1, 2, 40, 1100))


def _replace(dice: random.Random, data: bytearray) -> None:
    token = dice.choice(_TOKENS)
    at = dice.randrange(len(data))
    data[at : at + len(token)] = token


def _repeat(dice: random.Random, data: bytearray) -> None:
    start = dice.randrange(len(data))
    piece = data[start : start + dice.randint(1, 40)]
    data[start:start] = piece * dice.choice((1, 2, 30))


MUTATIONS: tuple[Mutation, ...] = (_flip, _flip, _cut, _insert, _replace, _repeat)


def _mutated(dice: random.Random, seeds: list[bytes]) -> bytes:
    data = bytearray(dice.choice(seeds))
    for _ in range(dice.randint(1, 4)):
        if data:
            dice.choice(MUTATIONS)(dice, data)
    return bytes(data)


def _made_up(dice: random.Random) -> bytes:
    if dice.random() < 0.5:
        return dice.randbytes(dice.randint(0, 200))
    return b"\x81\xa1x" + b"".join(dice.choices(_TOKENS, k=dice.randint(1, 60)))


def _cases(count: int) -> Iterator[tuple[type[Record], bytes]]:
    dice = random.Random(20)
    kinds = all_records()
    seeds = [encode(example(kind)) for kind in kinds]
    for number in range(count):
        kind = dice.choice(kinds) if number % 4 else Command
        yield kind, _made_up(dice) if number % 3 == 0 else _mutated(dice, seeds)


def _check(kind: type[Record], data: bytes) -> bool:
    """Whether it was a record; anything but a record or Invalid fails."""
    try:
        record = decode(data, kind)
    except Invalid as refused:
        encode(refused.to_body())  # the answer to it can be sent
        return False
    assert decode(encode(record), kind) == record
    if isinstance(record, Command):
        command_digest(record.op, record.args)
    return True


def test_hostile_bytes_give_a_record_or_invalid(request: pytest.FixtureRequest) -> None:
    count = 1_000_000 if request.config.getoption("--soak", default=False) else 15_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    taken = 0
    for kind, data in _cases(count):
        began = time.process_time()
        try:
            taken += _check(kind, data)
        except Exception as error:
            error.add_note(f"{kind.__name__} from {data.hex()}")
            raise
        assert time.process_time() - began < CASE_SECONDS, f"{kind.__name__} from {data.hex()}"
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < GROWTH_KB
    # both ways out were really taken
    assert 0 < taken < count


@settings(max_examples=400, deadline=None, database=None)
@given(st.binary(max_size=200) | st.lists(st.sampled_from(_TOKENS), max_size=40).map(b"".join))
def test_any_bytes_at_all(data: bytes) -> None:
    try:
        value = unpack(data)
    except Invalid:
        return
    assert isinstance(value, dict)
    assert all(type(key) is str and item is not None for key, item in value.items())


@pytest.fixture
def walked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes], object]]:
    """`unpack` without the short way of small plain messages: the map, or None for Invalid."""

    def walk(data: bytes) -> object:
        with monkeypatch.context() as patched:
            patched.setattr(codec, "_parse_plain", lambda _data: None)
            return _unpacked(data)

    return walk


def _unpacked(data: bytes) -> dict[str, object] | None:
    try:
        return unpack(data)
    except Invalid:
        return None


def test_the_short_way_of_small_messages_gives_what_the_long_one_gives(
    walked: Callable[[bytes], object],
) -> None:
    short = 0
    for _, data in _cases(15_000):
        assert _unpacked(data) == walked(data), data.hex()
        short += codec._parse_plain(data) is not None
    assert short > 100
