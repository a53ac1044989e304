"""CloudEvents headers: binary mode, percent-encoded, read back by any spelling of the prefix."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from tests.unit.protocol.strategies import example, records

from wharfside_protocol.cloudevents import ce_type, from_headers, to_headers
from wharfside_protocol.events import Event, EventType

EXITED = msgspec.structs.replace(
    example(Event),
    event_id="01J0000000000000000000000A",
    node="n1",
    container="c1",
    type=EventType.EXITED,
    seq=7,
    occurred_at="2026-01-31T09:00:00.000000001Z",
)
UP = msgspec.structs.replace(EXITED, container=None, type=EventType.UP)


def test_the_headers_of_an_exit() -> None:
    assert to_headers(EXITED) == {
        "ce-specversion": "1.0",
        "ce-id": "01J0000000000000000000000A",
        "ce-source": "/wharfside/nodes/n1",
        "ce-type": "io.wharfside.container.exited",
        "ce-time": "2026-01-31T09:00:00.000000001Z",
        "ce-subject": "c1",
        "ce-datacontenttype": "application/vnd.msgpack",
        "ce-sequence": "7",
    }


def test_an_event_of_the_node() -> None:
    headers = to_headers(UP)
    assert (headers["ce-type"], headers["ce-subject"]) == ("io.wharfside.node.up", "n1")


@pytest.mark.parametrize("type_", EventType)
def test_every_type_has_its_name(type_: EventType) -> None:
    event = msgspec.structs.replace(EXITED, type=type_)
    assert ce_type(event) == f"io.wharfside.container.{type_.value}"


@settings(max_examples=100, deadline=None, database=None)
@given(records(Event))
def test_the_headers_are_printable_and_read_back(event: Event) -> None:
    headers = to_headers(event)
    for value in headers.values():
        assert all(0x21 <= ord(sign) <= 0x7E and sign != '"' for sign in value)
    attributes = from_headers(headers)
    assert attributes["id"] == event.event_id
    assert attributes["time"] == event.occurred_at
    assert attributes["sequence"] == str(event.seq)


@pytest.mark.parametrize(
    ("raw", "encoded"),
    [
        ("a b", "a%20b"),
        ('"', "%22"),
        ("100%", "100%25"),
        ("x\r\nNats-Msg-Id: y", "x%0D%0ANats-Msg-Id:%20y"),
        ("Euro € 😀", "Euro%20%E2%82%AC%20%F0%9F%98%80"),
        ("~!#$&'()*+,/:;=?@[]", "~!#$&'()*+,/:;=?@[]"),
    ],
)
def test_percent_encoding_as_the_binding_says(raw: str, encoded: str) -> None:
    headers = to_headers(msgspec.structs.replace(EXITED, event_id=raw))
    assert headers["ce-id"] == encoded
    assert from_headers(headers)["id"] == raw


def test_from_headers_takes_only_attributes_in_any_spelling() -> None:
    headers = {"Ce-Id": "a%20b", "CE-TYPE": "t", "Nats-Msg-Id": "x", "ce": "y", "traceparent": "z"}
    assert from_headers(headers) == {"id": "a b", "type": "t"}
    assert from_headers({}) == {}
    assert from_headers({"ce-x": "%FF%zz%"}) == {"x": "\ufffd%zz%"}
