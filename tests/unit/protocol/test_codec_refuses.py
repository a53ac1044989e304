"""What the codec refuses, one kind of bad bytes at a time: always `Invalid`, never at a cost."""

from __future__ import annotations

import struct
import time
import tracemalloc

import msgpack
import pytest

from wharfside_protocol.codec import MAX_DEPTH, MAX_ITEMS, MAX_MESSAGE_BYTES, decode, unpack
from wharfside_protocol.envelope import Command
from wharfside_protocol.errors import MAX_TEXT, Invalid

MIB = 1 << 20
VALID = msgpack.packb({"id": "12345678", "op": "ping", "node": "n1", "args": {"x": [1.5, "y"]}})


def array32(items: int) -> bytes:
    return b"\xdd" + struct.pack(">I", items)


def map32(entries: int) -> bytes:
    return b"\xdf" + struct.pack(">I", entries)


def text32(characters: bytes) -> bytes:
    return b"\xdb" + struct.pack(">I", len(characters)) + characters


def keys(first: int, last: int) -> bytes:
    """Entries `"00001": nil` and so on."""
    return b"".join(b"\xa6%06d\xc0" % number for number in range(first, last))


def refusal(data: bytes, peak: int = 2 * MIB, seconds: float = 2.0) -> str:
    """The words of the refusal; fails if it took more memory or CPU time than that.

    A fixed 1 MiB of the peak is msgpack's own buffer.
    """
    tracemalloc.start()
    began = time.process_time()
    try:
        with pytest.raises(Invalid) as caught:
            unpack(data)
        took = time.process_time() - began
        _, used = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used <= peak
    assert took <= seconds
    assert len(caught.value.message) <= MAX_TEXT
    return caught.value.message


@pytest.mark.parametrize(
    "data", [b"\xc0", b"\x05", b"\xa1x", b"\x90", b"\x91\x80", b"\xcb" + b"\0" * 8]
)
def test_only_a_map_is_a_message(data: bytes) -> None:
    assert "not a msgpack map" in refusal(data)


@pytest.mark.parametrize(
    "data", [b"", b"\xc1", b"\x81", b"not msgpack", b'{"id": "x"}', b"\xff" * 9]
)
def test_bytes_that_are_no_msgpack(data: bytes) -> None:
    assert "msgpack" in refusal(data)


def test_every_truncation_and_every_addition() -> None:
    assert decode(VALID, Command).args == {"x": [1.5, "y"]}
    for end in range(len(VALID)):
        assert refusal(VALID[:end])
    for rest in (b"\x00", b"\x80", VALID, b"\xc1"):
        assert refusal(VALID + rest)


@pytest.mark.parametrize(
    "level", [b"\x91", b"\x81\xa1a", b"\x92\x00", b"\xdc\x00\x01", b"\xdf\0\0\0\x01\xa1a"]
)
@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 500, 1023, 1024, 1025, 10_000, 100_000])
def test_deep_nesting(level: bytes, levels: int) -> None:
    refusal((b"\x81\xa1a" + level * levels + b"\x80")[:MAX_MESSAGE_BYTES])


def test_the_deepest_that_travels() -> None:
    assert unpack(b"\x81\xa1a" * MAX_DEPTH + b"\x80")
    assert "deeper than" in refusal(b"\x81\xa1a" * (MAX_DEPTH + 1) + b"\x80")
    assert unpack(b"\x81\xa1a" + b"\x91" * (MAX_DEPTH - 1) + b"\xc3")


@pytest.mark.parametrize("content", [b"\x00", b"\x91", b"\xa1a", b"\xc1", VALID])
def test_five_megabytes_of_anything(content: bytes) -> None:
    data = content * (5_000_000 // len(content))
    assert f"at most {MAX_MESSAGE_BYTES}" in refusal(data, peak=MIB, seconds=0.1)


def test_a_well_formed_message_one_byte_too_large() -> None:
    overhead = len(b"\x81\xa1x" + text32(b""))
    fitting = b"\x81\xa1x" + text32(b"y" * (MAX_MESSAGE_BYTES - overhead))
    assert len(unpack(fitting)["x"]) == MAX_MESSAGE_BYTES - overhead
    assert "at most" in refusal(b"\x81\xa1x" + text32(b"y" * (MAX_MESSAGE_BYTES - overhead + 1)))


@pytest.mark.parametrize(
    "data",
    [
        b"\x82\xa1a\x01\xa1a\x02",
        b"\x82\xa1a\x01\xa1a\x01",
        b"\x82\xa1a\xc0\xa1a\x01",
        b"\x82\xa1a\xc0\xd9\x01a\xc0",
        b"\x81\xa1b\x91\x82\xa1a\x01\xa1a\x02",
    ],
    ids=["other value", "same value", "nil first", "other width", "inside"],
)
def test_the_same_key_twice(data: bytes) -> None:
    assert "map key 'a' stands there twice" in refusal(data)


def test_the_same_key_twice_at_the_end_of_many() -> None:
    data = map32(60_001) + keys(0, 60_000) + keys(59_999, 60_000)
    assert "'059999' stands there twice" in refusal(data, peak=40 * MIB)


def test_a_huge_key_twice_is_not_quoted_back_in_full() -> None:
    key = text32("\U000e0001".encode() * 100_000)
    message = refusal(b"\x82" + key + b"\x01" + key + b"\x02", peak=16 * MIB)
    assert message.endswith("…")


@pytest.mark.parametrize(
    "key",
    [
        b"\x01",
        b"\xc0",
        b"\xc3",
        b"\xcb" + b"\0" * 8,
        b"\xc4\x01a",
        b"\x90",
        b"\x80",
        b"\xd4\x05\x00",
    ],
    ids=["int", "nil", "bool", "float", "bytes", "list", "map", "ext"],
)
def test_a_key_that_is_no_string(key: bytes) -> None:
    assert refusal(b"\x81" + key + b"\x01")
    assert refusal(b"\x81\xa1a\x91\x81" + key + b"\x01")


@pytest.mark.parametrize(
    "number",
    [2**53, 2**63 - 1, 2**63, 2**64 - 1, -(2**53), -(2**63)],
)
def test_integers_that_javascript_would_round(number: int) -> None:
    assert "2^53" in refusal(msgpack.packb({"args": [{"x": number}]}))


@pytest.mark.parametrize("head", [b"\xcb", b"\xca"], ids=["double", "single"])
@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_floats_that_are_no_number(head: bytes, number: float) -> None:
    packed = struct.pack(">d" if head == b"\xcb" else ">f", number)
    assert "NaN and infinity" in refusal(b"\x81\xa1x" + head + packed)


@pytest.mark.parametrize(
    "extension",
    [
        b"\xd6\xff\0\0\0\x01",
        b"\xd7\xff" + b"\0" * 8,
        b"\xc7\x0c\xff" + b"\0" * 12,
        b"\xc7\x03\xff\0\0\0",
        b"\xc7\x0c\xff" + b"\xff" * 12,
        b"\xd4\x05\0",
        b"\xd8\x05" + b"\0" * 16,
        b"\xc7\x00\x05",
        b"\xc8\x00\x01\x05\0",
        b"\xc9\0\0\0\x01\x05\0",
    ],
)
def test_extension_types_and_timestamps_among_them(extension: bytes) -> None:
    assert refusal(b"\x81\xa1x" + extension)
    assert refusal(b"\x81\xa1x\x91\x81\xa1y" + extension)


@pytest.mark.parametrize(
    "text", [b"\xa1\xff", b"\xa3\xed\xa0\x80", b"\xa2\xc0\x80", b"\xa4\xf4\x90\x80\x80"]
)
def test_strings_that_are_no_utf8(text: bytes) -> None:
    assert refusal(b"\x81\xa1x" + text)
    assert refusal(b"\x81" + text + b"\x01")


@pytest.mark.parametrize(
    "header", [array32(MAX_ITEMS), map32(MAX_ITEMS) + b"\xa1a", array32(2**32 - 1)]
)
def test_headers_that_announce_more_than_is_there(header: bytes) -> None:
    assert refusal(b"\x81\xa1a" + header * 1000)
    assert refusal(b"\x81\xa1a" + header * 100_000)


@pytest.mark.parametrize("head", [b"\xdb", b"\xc6", b"\xc9"], ids=["text", "bytes", "ext"])
def test_lengths_beyond_the_message(head: bytes) -> None:
    assert refusal(b"\x81\xa1a" + head + b"\xff\xff\xff\xff" + b"\x05")


@pytest.mark.parametrize("item", [b"\x80", b"\x90", b"\x81\xa0\xc0"])
def test_swarms_of_tiny_containers(item: bytes) -> None:
    swarm = array32(30_000) + item * 30_000
    data = b"\x81\xa1a\xdc\x00\x08" + swarm * 8
    assert f"more than {MAX_ITEMS} items" in refusal(data, peak=48 * MIB)


def test_many_small_items_that_do_travel() -> None:
    thousand = {f"key-{number}": f"value-{number}" for number in range(64)}
    assert len(unpack(msgpack.packb({"x": [thousand] * 600}))["x"]) == 600


@pytest.mark.parametrize(
    "data",
    [
        b"\x81\xa1a" + array32(130_000) + b"\xce\x7f\xff\xff\xff" * 130_000,
        b"\x81\xa1a" + array32(130_000) + b"\xa3\xe2\x82\xac" * 130_000,
        b"\x81\xa1a" + array32(40_000) + b"\x81\xa0\x80" * 20_000 + b"\x90" * 20_000,
        map32(100_000) + keys(0, 100_000).replace(b"\xc0", b"\x05"),
    ],
    ids=["integers", "strings", "containers", "keys"],
)
def test_the_most_items_that_travel_stay_below_the_same_bound(data: bytes) -> None:
    tracemalloc.start()
    try:
        assert unpack(data)
        _, used = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used <= 48 * MIB
