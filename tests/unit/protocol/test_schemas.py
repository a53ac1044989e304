"""The JSON Schemas say what the records do, by a validator that knows nothing of ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from tests.unit.protocol.strategies import example, records

from wharfside_protocol import schemas
from wharfside_protocol.event_facts import EVENT_DATA
from wharfside_protocol.ops import OPS
from wharfside_protocol.records import Record

VECTORS = Path(__file__).parents[3] / "protocol" / "vectors"
MAKERS = {
    "commands": lambda told: schemas.command_schema(OPS[told["op"]]),
    "results": lambda told: schemas.result_schema(OPS[told["op"]]),
    "events": lambda told: schemas.event_schema(told["type"]),
}


def in_json(record: Record) -> Any:
    return json.loads(msgspec.json.encode(record))


def of_record(kind: type[Record]) -> Draft202012Validator:
    schema = schemas.record_schema(kind)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.mark.parametrize("kind", schemas.travelling(), ids=lambda kind: kind.__name__)
def test_a_record_is_what_its_schema_says(kind: type[Record]) -> None:
    validator = of_record(kind)

    @settings(max_examples=4, deadline=None)
    @given(records(kind))
    def check(record: Record) -> None:
        validator.validate(in_json(record))

    check()


@pytest.mark.parametrize("kind", schemas.travelling(), ids=lambda kind: kind.__name__)
def test_what_lacks_a_field_is_none(kind: type[Record]) -> None:
    validator, whole = of_record(kind), in_json(example(kind))
    for field in schemas.definitions([kind])[kind.__name__].get("required", ()):
        rest = {name: value for name, value in whole.items() if name != field}
        assert not validator.is_valid(rest), field


@given(st.sampled_from(list(OPS.values())))
def test_another_ops_command_is_none(op: Any) -> None:
    validator = Draft202012Validator(schemas.command_schema(op))
    other = {"id": "command-0001", "op": "another", "node": "node-a"}
    assert not validator.is_valid(other)


@pytest.mark.parametrize("family", MAKERS)
def test_the_vectors_are_what_the_schemas_say(family: str) -> None:
    for vector in json.loads((VECTORS / f"{family}.json").read_text()):
        if vector["name"] == "an error":
            continue
        schema = MAKERS[family](vector["json"])
        Draft202012Validator(schema).validate(vector["json"])


def test_the_catalogue_holds_every_op_event_frame_and_bucket() -> None:
    told = schemas.catalogue()
    assert set(told["ops"]) == set(OPS)
    assert set(told["events"]) == set(map(str, EVENT_DATA))
    named = json.dumps(told)
    for kind in schemas.travelling():
        assert f"#/$defs/{kind.__name__}" in named
