"""JSON Schemas (draft 2020-12) of everything that travels, made from the records.

They tell the JSON form of a message: what stands in msgpack as a map of the same fields. Bytes
are msgpack's bin there, and base64 in JSON (`contentEncoding`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from inspect import cleandoc
from typing import Any, get_args

import msgspec

from wharfside_protocol.carriage import FromA, FromB
from wharfside_protocol.envelope import Accepted, Command, Result
from wharfside_protocol.event_facts import EVENT_DATA
from wharfside_protocol.events import Event
from wharfside_protocol.io_frames import DownFrame, UpFrame
from wharfside_protocol.node_commands import Progress
from wharfside_protocol.ops import OPS, Op
from wharfside_protocol.records import Record
from wharfside_protocol.shipped import ShippedOutput
from wharfside_protocol.views import ContainerProjection, NodeInfo

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
LOCAL = "#/$defs/{name}"

ENVELOPES = (Command, Result, Accepted, Event, Progress, ShippedOutput)
PROJECTIONS: Mapping[str, type[Record]] = {"nodes": NodeInfo, "containers": ContainerProjection}


def _members(*unions: Any) -> tuple[type[Record], ...]:
    return tuple(dict.fromkeys(kind for union in unions for kind in get_args(union)))


FRAMES = _members(DownFrame, UpFrame)
WORDS = _members(FromA, FromB)


def travelling() -> tuple[type[Record], ...]:
    """Every record that is a message, or what a message's free field holds, once."""
    of_ops = [kind for op in OPS.values() for kind in (op.args, op.value)]
    named: list[type[Record]] = [*ENVELOPES, *of_ops, *EVENT_DATA.values(), *FRAMES, *WORDS]
    named += PROJECTIONS.values()
    return tuple(dict.fromkeys(named))


def definitions(kinds: Iterable[type[Record]] | None = None, ref: str = LOCAL) -> dict[str, Schema]:
    """The schemas of `kinds` (all) and of what they hold, by name; `ref` names another one."""
    wanted = travelling() if kinds is None else tuple(kinds)
    found = msgspec.json.schema_components(wanted, ref_template=ref)[1]
    for each in found.values():
        if "description" in each:
            each["description"] = cleandoc(each["description"])
    return found


def command_schema(op: Op) -> Schema:
    """A command: the envelope with the arguments of `op`."""
    return _whole(f"command {op.name}", Command, {"op": _is(op.name), "args": _ref(op.args)}, op)


def result_schema(op: Op) -> Schema:
    """Its result: the envelope with the value of `op`, where it is ok."""
    return _whole(f"result of {op.name}", Result, {"op": _is(op.name), "value": _ref(op.value)}, op)


def event_schema(kind: str) -> Schema:
    """An event: the envelope with the facts of its type."""
    data = EVENT_DATA[kind]  # type: ignore[index]  # a StrEnum's own words are its keys
    properties = {"type": _is(str(kind)), "data": _ref(data)}
    return _document(f"event {kind}", [Event, data], Event, properties)


def record_schema(kind: type[Record]) -> Schema:
    """Of a record that stands by itself: a frame, a projection, a word between nodes."""
    return _document(kind.__name__, [kind], kind, {})


def catalogue() -> Schema:
    """All of them in one document: `$defs`, and which of them stands where."""
    return {
        "$schema": DIALECT,
        "title": "Wharfside",
        "envelopes": {kind.__name__: _ref(kind) for kind in ENVELOPES},
        "ops": {op.name: {"args": _ref(op.args), "value": _ref(op.value)} for op in OPS.values()},
        "events": {str(kind): _ref(data) for kind, data in EVENT_DATA.items()},
        "frames": {str(kind.__struct_config__.tag): _ref(kind) for kind in FRAMES},
        "buckets": {name: _ref(kind) for name, kind in PROJECTIONS.items()},
        "words": {str(kind.__struct_config__.tag): _ref(kind) for kind in WORDS},
        "$defs": definitions(),
    }


def _whole(title: str, envelope: type[Record], properties: Schema, op: Op) -> Schema:
    return _document(title, [envelope, op.args, op.value], envelope, properties)


def _document(
    title: str, kinds: Iterable[type[Record]], top: type[Record], properties: Schema
) -> Schema:
    body: Schema = {"$schema": DIALECT, "title": title, "allOf": [_ref(top)]}
    if properties:
        body["properties"] = properties
    return body | {"$defs": _used(body, definitions(kinds))}


def _used(body: Schema, known: Mapping[str, Schema]) -> dict[str, Schema]:
    """What `body` refers to, and what that does."""
    found: dict[str, Schema] = {}
    waiting = list(_refs(body))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = known[name]
            waiting += _refs(known[name])
    return dict(sorted(found.items()))


def _refs(value: Any) -> Iterable[str]:
    if isinstance(value, dict):
        if isinstance(reference := value.get("$ref"), str):
            yield reference.rpartition("/")[2]
        for item in value.values():
            yield from _refs(item)
    elif isinstance(value, list):
        for item in value:
            yield from _refs(item)


def _ref(kind: type[Record]) -> Schema:
    return {"$ref": LOCAL.format(name=kind.__name__)}


def _is(word: str) -> Schema:
    return {"const": word}
