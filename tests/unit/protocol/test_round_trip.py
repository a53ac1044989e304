"""Every record survives its bytes; what foreign peers write reads the same."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgpack
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.protocol.strategies import ANYTHING, KEYS, all_records, example, records

from wharfside_protocol.codec import (
    MAX_DEPTH,
    MAX_MESSAGE_BYTES,
    convert,
    decode,
    encode,
    encode_bulk,
    pack,
    portable,
    to_plain,
    unpack,
)
from wharfside_protocol.command_base import ContainerArgs
from wharfside_protocol.commands import ListArgs, Output, StopArgs
from wharfside_protocol.envelope import Command
from wharfside_protocol.errors import ErrorBody, ErrorCode, Invalid
from wharfside_protocol.io_frames import Frame
from wharfside_protocol.io_writing import encode_frame
from wharfside_protocol.records import MAX_SAFE_INTEGER, Record

RECORDS = all_records()
BIG = MAX_SAFE_INTEGER + 1


def test_the_walk_finds_the_records() -> None:
    names = {kind.__name__ for kind in RECORDS}
    assert {"Command", "Result", "Event", "ErrorBody", "ContainerSpec", "NodeInfo"} <= names
    assert len(names) == len(RECORDS) > 50


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_every_record_survives_the_round_trip(
    kind: type[Record], request: pytest.FixtureRequest
) -> None:
    examples = 300 if request.config.getoption("--soak", default=False) else 10

    @settings(
        max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(records(kind))
    def survives(record: Record) -> None:
        data = encode(record)
        assert data == encode_bulk(record)
        if isinstance(record, Frame):
            assert data == bytes(encode_frame(record))
        again = decode(data, kind)
        assert again == record
        assert encode(again) == data

    survives()


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_every_record_ignores_fields_that_it_does_not_know(kind: type[Record]) -> None:
    record = example(kind)
    plain = to_plain(record) | {"of a later version": {"nested": [1, None, "x"]}, "x-1": None}
    assert decode(msgpack.packb(plain), kind) == record


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_nil_is_the_same_as_absent_in_every_field(kind: type[Record]) -> None:
    record = example(kind)
    plain = to_plain(record)
    absent = dict.fromkeys(field.encode_name for field in msgspec.structs.fields(kind))
    assert decode(msgpack.packb(absent | plain), kind) == record


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_every_record_has_a_json_schema(kind: type[Record]) -> None:
    schema = msgspec.json.schema(kind)
    assert schema["$defs"][kind.__name__]["type"] == "object"


def test_nil_is_absent_at_every_depth_and_stays_in_a_list() -> None:
    sent = {"a": None, "b": {"c": None, "d": {"e": None}}, "f": [None, {"g": None}]}
    assert unpack(msgpack.packb(sent)) == {"b": {"d": {}}, "f": [None, {}]}
    assert unpack(pack(sent)) == {"b": {"d": {}}, "f": [None, {}]}
    assert pack(sent) == msgpack.packb({"b": {"d": {}}, "f": [None, {}]})


def test_the_version_and_other_defaults_need_not_be_sent() -> None:
    sent = {"id": "12345678", "op": "ping", "node": "n1"}
    command = decode(msgpack.packb(sent), Command)
    assert (command.v, command.args, command.deadline, command.expect) == (1, {}, None, None)


@settings(max_examples=100, deadline=None, database=None)
@given(st.dictionaries(KEYS, ANYTHING, max_size=4))
def test_what_can_be_packed_can_be_unpacked(value: dict[str, Any]) -> None:
    data = pack(value)
    assert unpack(data) == value
    # digests are of these bytes: every encoder must write the same
    assert data == msgpack.packb(value)


@pytest.mark.parametrize(
    "value",
    [datetime.now(UTC), {1}, (1,), Decimal(1), b"".join, bytearray(b"x")],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_value_of_the_wire_is_not_packed(value: object) -> None:
    for message in ({"x": value}, {"x": [value]}):
        with pytest.raises(Invalid, match="does not travel"):
            pack(message)


def test_a_whole_number_may_come_for_a_float_and_nothing_else_for_a_number() -> None:
    # JavaScript sends 2.0 as the integer 2
    assert convert({"container": "c", "grace_s": 2}, StopArgs).grace_s == 2.0
    for wrong in ("2", True, b"2", [2]):
        with pytest.raises(Invalid, match="grace_s"):
            convert({"container": "c", "grace_s": wrong}, StopArgs)
        with pytest.raises(Invalid, match="limit"):
            convert({"limit": wrong}, ListArgs)


@pytest.mark.parametrize(
    "data",
    [
        b"\x81\xa9container\xa2c1",
        b"\xde\x00\x01\xa9container\xa2c1",
        b"\xdf\x00\x00\x00\x01\xa9container\xa2c1",
        b"\x81\xd9\x09container\xd9\x02c1",
        b"\x81\xda\x00\x09container\xda\x00\x02c1",
        b"\x81\xdb\x00\x00\x00\x09container\xdb\x00\x00\x00\x02c1",
    ],
    ids=["shortest", "map16", "map32", "str8", "str16", "str32"],
)
def test_any_width_that_an_encoder_chooses_reads_the_same(data: bytes) -> None:
    assert decode(data, ContainerArgs) == ContainerArgs(container="c1")


def test_integers_of_any_width_and_single_floats_read_the_same() -> None:
    for seven in (b"\x07", b"\xcc\x07", b"\xcd\x00\x07", b"\xce\0\0\0\x07", b"\xd0\x07"):
        assert decode(b"\x81\xa5limit" + seven, ListArgs).limit == 7
    assert unpack(b"\x81\xa1x\xca" + struct.pack(">f", 1.5)) == {"x": 1.5}


def test_bytes_stay_bytes() -> None:
    output = Output(stdout=b"\x00\xff", stderr=b"\n")
    written = unpack(encode(output))
    assert (written["stdout"], written["stderr"]) == (b"\x00\xff", b"\n")


def test_the_largest_integers_travel_and_none_beyond() -> None:
    for largest in (MAX_SAFE_INTEGER, -MAX_SAFE_INTEGER):
        assert unpack(pack({"x": [largest]})) == {"x": [largest]}
    for beyond in (BIG, -BIG, 2**64 - 1, -(2**63), 2**64, 10**30):
        with pytest.raises(Invalid, match=r"2\^53|too large|out of range"):
            pack({"x": [beyond]})


def test_portable_makes_strings_of_integers_too_large_to_travel() -> None:
    # RLIM_INFINITY, as bundles have it
    foreign = {"rlimits": [{"hard": 2**64 - 1, "soft": -BIG, "small": -7, "on": True}], "x": 1.5}
    assert unpack(pack(portable(foreign))) == {
        "rlimits": [{"hard": str(2**64 - 1), "soft": str(-BIG), "small": -7, "on": True}],
        "x": 1.5,
    }


def _nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    "details",
    [
        {"x": BIG},
        {"x": float("nan")},
        {"x": float("-inf")},
        {"x": "\ud800"},
        {"x": object()},
        {"x": Ellipsis},
        {1: "x"},
        {"x": b"\0" * MAX_MESSAGE_BYTES},
        _nested(MAX_DEPTH),
        _nested(20_000),
    ],
    ids=["big", "nan", "inf", "surrogate", "object", "ellipsis", "key", "size", "deep", "abyss"],
)
def test_what_no_peer_could_read_is_refused_before_it_leaves(details: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        encode(ErrorBody(code=ErrorCode.INTERNAL, message="m", details=details))


def test_the_largest_message_travels() -> None:
    rest = len(pack({"x": b"\0" * 70_000})) - 70_000
    data = pack({"x": b"\0" * (MAX_MESSAGE_BYTES - rest)})
    assert len(data) == MAX_MESSAGE_BYTES
    assert len(unpack(data)["x"]) == MAX_MESSAGE_BYTES - rest
    with pytest.raises(Invalid, match=f"at most {MAX_MESSAGE_BYTES}"):
        pack({"x": b"\0" * (MAX_MESSAGE_BYTES - rest + 1)})
