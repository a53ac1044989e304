"""The digest: the same for what is the same command, another for any other."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.unit.protocol.strategies import ANYTHING, KEYS

from wharfside_protocol.codec import pack, to_plain, unpack
from wharfside_protocol.commands import CreateArgs
from wharfside_protocol.digest import command_digest
from wharfside_protocol.errors import Invalid
from wharfside_protocol.specs import ProcessSpec, Source

ARGS = st.dictionaries(KEYS, ANYTHING, max_size=5)


def test_the_bytes_under_the_hash_can_be_made_in_any_language() -> None:
    bytes_ = b"\x92\xa5start\x82\xa9container\xa2c1\xa1x\x92\x0a\xcb\x3f\xf8\0\0\0\0\0\0"
    expected = hashlib.sha256(bytes_).hexdigest()
    assert command_digest("start", {"x": [10.0, 1.5], "nil": None, "container": "c1"}) == expected


def _shuffled(value: Any) -> Any:
    """The same value with every map's keys the other way round, nil added, floats for integers."""
    if isinstance(value, dict):
        turned = {key: _shuffled(value[key]) for key in reversed(value)}
        return turned | {"only nil\0": None}
    if isinstance(value, list):
        return [_shuffled(item) for item in value]
    if type(value) is int and float(value) == value:
        return float(value)
    return value


@settings(max_examples=100, deadline=None, database=None)
@given(ARGS)
def test_order_nil_and_whole_floats_make_no_difference(args: dict[str, Any]) -> None:
    assert command_digest("create", _shuffled(args)) == command_digest("create", args)


@settings(max_examples=100, deadline=None, database=None)
@given(ARGS)
def test_both_sides_of_the_wire_have_the_same(args: dict[str, Any]) -> None:
    assert command_digest("create", unpack(pack(args))) == command_digest("create", args)


@settings(max_examples=50, deadline=None, database=None)
@given(ARGS, ARGS)
def test_other_arguments_have_another(one: dict[str, Any], other: dict[str, Any]) -> None:
    assume(one != other)
    assert command_digest("create", one) != command_digest("create", other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"x": {"a": 1}}, {"x": [["a", 1]]}),
        ({"x": True}, {"x": 1}),
        ({"x": "1"}, {"x": 1}),
        ({"x": "a"}, {"x": b"a"}),
        ({"x": 1.5}, {"x": 1}),
        ({"x": [1, 2]}, {"x": [2, 1]}),
        ({"x": [None]}, {"x": []}),
        ({"x": {}}, {}),
        ({"x": False}, {}),
        ({"x": ""}, {}),
        ({"x": 1e300}, {"x": 1e301}),
    ],
)
def test_near_misses(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert command_digest("create", one) != command_digest("create", other)


def test_the_op_counts() -> None:
    assert command_digest("pause", {"container": "a"}) != command_digest(
        "resume", {"container": "a"}
    )


def test_a_record_has_the_digest_of_its_wire_form() -> None:
    args = CreateArgs(
        container="c1",
        source=Source(rootfs="/r"),
        process=ProcessSpec(args=["sh"], env=["A=b"]),
        grace_s=3.0,
        labels={"b": "1", "a": "2"},
    )
    plain = to_plain(args)
    foreign = dict(reversed(plain.items())) | {"grace_s": 3, "process": plain["process"]}
    foreign["process"] = dict(reversed(plain["process"].items())) | {"user": None}
    foreign["labels"] = {"a": "2", "b": "1"}
    assert command_digest("create", to_plain(args)) == command_digest("create", foreign)


@pytest.mark.parametrize("value", [2**53, float("nan"), float("inf"), "\ud800", object()])
def test_what_does_not_travel_has_none(value: object) -> None:
    with pytest.raises(Invalid):
        command_digest("create", {"x": value})
