"""What every record keeps to: its names, numbers and required fields; and the command itself."""

from __future__ import annotations

import re
from typing import Any

import msgspec.inspect as mi
import pytest
from tests.unit.protocol.strategies import all_records, example, field_types

from wharfside_protocol.codec import convert, to_plain
from wharfside_protocol.commands import SignalArgs
from wharfside_protocol.envelope import Command, Expect
from wharfside_protocol.errors import Invalid
from wharfside_protocol.records import (
    COMMAND_ID_PATTERN,
    MAX_SAFE_INTEGER,
    NAME_PATTERN,
    TIMESTAMP_PATTERN,
    ULID_PATTERN,
    Record,
)

RECORDS = all_records()

BAD_NAMES = [
    "", ".", "..", "a.b", "a/b", "../a", "/a", "a\0", "\0", "a\n", "\n", "a\nb", "a b", " a", "A",
    "aB", "-a", "_a", "_node", "a*", "*", ">", "é", "ａ", "٣", "a" * 64, "a" * 1000,
]  # fmt: skip
GOOD_NAMES = ["a", "0", "a-", "a_b-c9", "init", "node", "a" * 63]

BAD_TEXTS = {
    NAME_PATTERN: BAD_NAMES,
    COMMAND_ID_PATTERN: ["", "a" * 7, "a" * 65, "a.bcdefgh", "abcdefg/", "abcdefgh\n", "é" * 8],
    ULID_PATTERN: ["", "0" * 25, "0" * 27, "0" * 26 + "\n", "I" * 26, "0" * 25 + "a", "٣" * 26],
    TIMESTAMP_PATTERN: [
        "", "2026-01-31", "2026-01-31T09:00:00", "2026-01-31T09:00:00+00:00", "0",
        "2026-01-31 09:00:00Z", "2026-01-31t09:00:00z", "2026-01-31T09:00:00.Z",
        "2026-01-31T09:00:00.1234567890Z", "2026-01-31T09:00:00Z\n", "26-01-31T09:00:00Z",
        "٢٠٢٦-01-31T09:00:00Z",
    ],
}  # fmt: skip


def fields_of(kind: type[mi.Type]) -> list[Any]:
    """(record, wire name, type) of every field that may be of the given type."""
    return [
        pytest.param(record, name, info, id=f"{record.__name__}.{name}")
        for record in RECORDS
        for name, types in field_types(record).items()
        for info in types
        if isinstance(info, kind)
    ]


def with_field(record: type[Record], name: str, value: Any) -> dict[str, Any]:
    plain = to_plain(example(record))
    assert isinstance(plain, dict)
    return plain | {name: value}


@pytest.mark.parametrize(("record", "name", "info"), fields_of(mi.StrType))
def test_every_text_field_keeps_to_its_pattern(
    record: type[Record], name: str, info: mi.StrType
) -> None:
    for bad in BAD_TEXTS.get(info.pattern or "", []):
        with pytest.raises(Invalid):
            convert(with_field(record, name, bad), record)
    for wrong in (7, b"abcdefgh", ["abcdefgh"], {"a": "b"}, True, 1.5):
        with pytest.raises(Invalid):
            convert(with_field(record, name, wrong), record)


@pytest.mark.parametrize(("record", "name", "info"), fields_of(mi.IntType))
def test_every_integer_field_keeps_to_its_bounds(
    record: type[Record], name: str, info: mi.IntType
) -> None:
    wrong: list[Any] = ["7", 7.5, True, b"7", [7]]
    if name != "v":
        assert info.ge is not None
        assert info.le is not None
        assert -MAX_SAFE_INTEGER <= info.ge <= info.le <= MAX_SAFE_INTEGER
        wrong += [info.ge - 1, info.le + 1]
        for bound in (info.ge, info.le):
            convert(with_field(record, name, bound), record)
    for value in wrong:
        with pytest.raises(Invalid):
            convert(with_field(record, name, value), record)


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_every_required_field_is_missed(kind: type[Record]) -> None:
    plain = to_plain(example(kind))
    info = mi.type_info(kind)
    assert isinstance(info, mi.StructType)
    for field in info.fields:
        if field.required:
            rest = {name: value for name, value in plain.items() if name != field.encode_name}
            with pytest.raises(Invalid, match=field.encode_name):
                convert(rest, kind)


def test_every_pattern_is_plain_but_for_its_last_sign() -> None:
    # Go's regexp has no lookaround: a schema may cut `(?!\n)`, as `$` is the end there
    patterns = {param.values[2].pattern for param in fields_of(mi.StrType)} - {None}
    assert len(patterns) >= 5
    for pattern in patterns:
        assert "(?" not in pattern.removesuffix(r"(?!\n)")
        assert not re.search(r"\\[dwsb]", pattern), "takes the digits of every script"


def test_names_that_are_names() -> None:
    for name in GOOD_NAMES:
        assert convert({"container": name}, SignalArgs).container == name


def command(**fields: Any) -> Command:
    return convert({"id": "12345678", "op": "ping", "node": "n1"} | fields, Command)


@pytest.mark.parametrize(
    "fields",
    [
        {"id": "1234567"},
        {"id": "12345678\n"},
        {"id": "a.b.c.d.e"},
        {"id": 12345678},
        {"op": ""},
        {"op": "a.b"},
        {"op": "ping\n"},
        {"op": "a" * 65},
        {"node": "../n"},
        {"args": []},
        {"args": "x"},
        {"deadline": 5},
        {"deadline": "tomorrow"},
        {"expect": {"incarnation": "x"}},
        {"expect": {"revision": -1}},
        {"expect": []},
        {"actor": ""},
        {"actor": "a" * 129},
        {"v": "1"},
    ],
)
def test_commands_that_are_none(fields: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        command(**fields)


@pytest.mark.parametrize("op", ["no-such-op", "no_such_op", "CREATE", "x9"])
def test_an_op_of_any_spelling_can_be_answered_as_unsupported(op: str) -> None:
    assert command(op=op).op == op
    assert command(v=2).v == 2


def test_a_whole_command() -> None:
    full = command(expect={"run": 2, "revision": 0}, deadline="2026-01-31T09:00:00.5Z", actor="me")
    assert full.expect == Expect(run=2, revision=0)
    assert command(id="A-_z0123" * 8).id == "A-_z0123" * 8
