"""protocol/vectors: what was once written stays readable, and says the same in every form."""

from __future__ import annotations

import json
import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from tests.unit.protocol.strategies import all_records

from wharfside_protocol.cloudevents import from_headers, to_headers
from wharfside_protocol.codec import decode, encode, to_plain
from wharfside_protocol.digest import command_digest
from wharfside_protocol.envelope import Command
from wharfside_protocol.errors import ERRORS, WharfsideError
from wharfside_protocol.events import Event
from wharfside_protocol.signing import (
    KEY_HEADER,
    SIGNATURE_HEADER,
    TIME_HEADER,
    PublicKey,
    Signer,
    signed_bytes,
)
from wharfside_protocol.times import from_timestamp

VECTORS = Path(__file__).parents[3] / "protocol" / "vectors"
KINDS = {kind.__name__: kind for kind in all_records()}


def of(*families: str) -> list[Any]:
    found = [
        (family, each)
        for family in families
        for each in json.loads((VECTORS / f"{family}.json").read_text())
    ]
    return [pytest.param(each, id=f"{family}: {each['name']}") for family, each in found]


SOUND = ("envelopes", "commands", "results", "events", "frames", "buckets", "words", "signatures")


@pytest.mark.parametrize("vector", of(*SOUND))
def test_bytes_and_json_are_the_same_record(vector: dict[str, Any]) -> None:
    kind = KINDS[vector["record"]]
    record = decode(bytes.fromhex(vector["msgpack"]), kind)
    assert record == decode(encode(record), kind)
    assert_holds(in_json(to_plain(record)), vector["json"])


def in_json(value: Any) -> Any:
    """JSON cannot hold bytes: in it they are base64."""
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, dict):
        return {key: in_json(item) for key, item in value.items()}
    return [in_json(item) for item in value] if isinstance(value, list) else value


def assert_holds(told: Any, wanted: Any) -> None:
    """All of `wanted`; a field that came later stands there with its default, too."""
    if isinstance(wanted, dict):
        for key, item in wanted.items():
            assert_holds(told[key], item)
    else:
        assert told == wanted


@pytest.mark.parametrize("vector", of("commands"))
def test_the_digest_of_op_and_arguments(vector: dict[str, Any]) -> None:
    command = decode(bytes.fromhex(vector["msgpack"]), Command)
    assert command_digest(command.op, command.args) == vector["digest"]


@pytest.mark.parametrize("vector", of("signatures"))
def test_what_is_signed_and_the_headers_of_it(vector: dict[str, Any]) -> None:
    command = decode(bytes.fromhex(vector["msgpack"]), Command)
    headers, digest = vector["headers"], command_digest(command.op, command.args)
    at = headers[TIME_HEADER]
    assert digest == vector["digest"]
    assert signed_bytes(command, digest, at).decode() == vector["signed"]
    assert Signer(vector["seed"]).headers(command, digest, from_timestamp(at)) == headers
    key = PublicKey(headers[KEY_HEADER])
    assert key.signed(vector["signed"].encode(), headers[SIGNATURE_HEADER])


@pytest.mark.parametrize("vector", of("events"))
def test_the_headers_of_an_event(vector: dict[str, Any]) -> None:
    event = decode(bytes.fromhex(vector["msgpack"]), Event)
    assert to_headers(event) == vector["headers"]
    assert from_headers(vector["headers"])["id"] == event.event_id


@pytest.mark.parametrize("vector", of("malformed"))
def test_what_is_malformed_is_told(vector: dict[str, Any]) -> None:
    with pytest.raises(WharfsideError) as told:
        decode(bytes.fromhex(vector["msgpack"]), KINDS[vector["record"]])
    assert isinstance(told.value, ERRORS[vector["error"]])
    assert vector["says"] in told.value.message


def test_every_record_of_today_has_its_vectors() -> None:
    ran = subprocess.run(
        [sys.executable, VECTORS / "make.py", "--check"], capture_output=True, text=True
    )
    assert ran.returncode == 0, f"run python protocol/vectors/make.py: {ran.stdout}{ran.stderr}"
