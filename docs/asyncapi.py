"""docs/protocol/asyncapi.yaml: the wire as AsyncAPI 3 has it, drawn from the records.

The application that it describes is the node's agent: it receives commands and sends events.
"""

from __future__ import annotations

from typing import Any

import yaml

from wharfside_protocol import __version__
from wharfside_protocol.cloudevents import TYPE_PREFIX
from wharfside_protocol.codec import CONTENT_TYPE
from wharfside_protocol.envelope import Accepted, Command, Result
from wharfside_protocol.event_facts import EVENT_DATA
from wharfside_protocol.events import Event, EventType
from wharfside_protocol.io_frames import DownFrame, UpFrame
from wharfside_protocol.node_commands import Progress
from wharfside_protocol.op_words import DOES
from wharfside_protocol.ops import OPS, Op
from wharfside_protocol.records import Record
from wharfside_protocol.schemas import PROJECTIONS, WORDS, definitions
from wharfside_protocol.shipped import ShippedOutput
from wharfside_protocol.signing import KEY_HEADER, SIGNATURE_HEADER, TIME_HEADER
from wharfside_protocol.subjects import DEFAULT_PREFIX

Node = dict[str, Any]

SCHEMA = "#/components/schemas/{name}"
BINDING = {"nats": {"bindingVersion": "0.1.0"}}

PARAMETERS = {
    "node": "The node's name: one token.",
    "container": "The container's name.",
    "process": "`init`, or an exec's id.",
    "command": "The command's id.",
    "peer": "Your own name in your NATS account.",
    "session": "A name that you make up for the session.",
    "from": "The node that speaks.",
    "to": "The node that is spoken to.",
    "migration": "The id of the migration.",
    "number": "Of the message.",
}

COMMAND_HEADERS = {
    "type": "object",
    "description": "All three of them where the command is signed; protocol.md has the bytes.",
    "properties": {
        KEY_HEADER: {"type": "string", "description": "The signer's public nkey."},
        TIME_HEADER: {"type": "string", "description": "The time of signing, RFC 3339 in UTC."},
        SIGNATURE_HEADER: {"type": "string", "description": "ed25519, base64url unpadded."},
        "traceparent": {"type": "string", "description": "W3C Trace Context."},
    },
}


def document() -> str:
    """The whole file."""
    return HEADER + yaml.dump(_document(), sort_keys=False, allow_unicode=True, width=100)


def _document() -> Node:
    messages = _messages()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Wharfside",
            "version": __version__,
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": CONTENT_TYPE,
        "servers": {"nats": {"host": "127.0.0.1:4222", "protocol": "nats"}},
        "channels": _channels(),
        "operations": _operations(),
        "components": {
            "messages": messages,
            "schemas": {name: _plain(told) for name, told in definitions(ref=SCHEMA).items()}
            | {"CommandHeaders": COMMAND_HEADERS},
        },
    }


def _messages() -> Node:
    commands = {f"command-{op.name}": _command(op) for op in OPS.values()}
    results = {f"result-{op.name}": _result(op) for op in OPS.values()}
    events = {f"event-{kind}": _event(kind, data) for kind, data in EVENT_DATA.items()}
    plain: dict[str, type[Record]] = {
        "accepted": Accepted,
        "progress": Progress,
        "shipped-output": ShippedOutput,
        **{f"bucket-{name}": kind for name, kind in PROJECTIONS.items()},
    }
    return {
        **commands,
        **results,
        **events,
        **{name: _message(name, _ref(kind)) for name, kind in plain.items()},
        "frame-up": _message("A frame to the node", _any(UpFrame)),
        "frame-down": _message("A frame to the peer", _any(DownFrame)),
        "word": _message("A word between two nodes", {"oneOf": [_ref(kind) for kind in WORDS]}),
    }


def _command(op: Op) -> Node:
    payload = _with(Command, op={"const": op.name}, args=_ref(op.args))
    headers = {"$ref": SCHEMA.format(name="CommandHeaders")}
    return _message(f"Command {op.name}", payload) | {"headers": headers}


def _result(op: Op) -> Node:
    payload = _with(Result, op={"const": op.name}, value=_ref(op.value))
    return _message(f"Result of {op.name}", payload)


def _event(kind: EventType, data: type[Record]) -> Node:
    types = [f"{TYPE_PREFIX}.{of}.{kind}" for of in ("container", "node")]
    headers = {
        "type": "object",
        "required": ["ce-specversion", "ce-id", "ce-source", "ce-type"],
        "properties": {
            "ce-specversion": {"type": "string", "const": "1.0"},
            "ce-id": {"type": "string", "description": "The event_id."},
            "ce-source": {"type": "string", "description": "/wharfside/nodes/NODE"},
            "ce-type": {"type": "string", "enum": types},
            "ce-time": {"type": "string", "description": "occurred_at"},
            "ce-subject": {"type": "string"},
            "ce-datacontenttype": {"type": "string", "const": CONTENT_TYPE},
            "ce-sequence": {"type": "string", "description": "seq, as digits."},
            "traceparent": {"type": "string", "description": "W3C Trace Context."},
        },
    }
    payload = _with(Event, type={"const": str(kind)}, data=_ref(data))
    return _message(f"Event {kind}", payload) | {"headers": headers}


def _channels() -> Node:
    found: Node = {}
    for op in OPS.values():
        name = f"command-{op.name}"
        found[f"rpc-{op.name}"] = _channel(f"rpc.{{node}}.{op.name}", name)
        if op.changes:
            found[f"cmd-{op.name}"] = _channel(f"cmd.{{node}}.{op.name}", name)
    results = [f"result-{op.name}" for op in OPS.values()]
    found["reply"] = {"address": None, "messages": {name: _named(name) for name in results}}
    for kind in EVENT_DATA:
        found[f"evt-{kind}"] = _channel(f"evt.{{node}}.{{container}}.{kind}", f"event-{kind}")
    changing = [f"result-{op.name}" for op in OPS.values() if op.changes]
    found["res-accepted"] = _channel("res.{node}.{command}.accepted", "accepted")
    found["res-result"] = _channel("res.{node}.{command}.result", *changing)
    found["progress"] = _channel("progress.{node}.{command}", "progress")
    found["io-up"] = _channel("io.{node}.{peer}.{session}.up", "frame-up")
    found["io-down"] = _channel("io.{node}.{peer}.{session}.down", "frame-down")
    found["log"] = _channel("log.{node}.{container}.{process}", "shipped-output")
    found["ckpt"] = _channel("ckpt.{from}.{to}.{migration}.{number}", "word")
    found["kv-nodes"] = _channel("kv.nodes.{node}", "bucket-nodes")
    found["kv-containers"] = _channel("kv.containers.{node}.{container}", "bucket-containers")
    return found


def _channel(address: str, *messages: str) -> Node:
    used = [name for name in PARAMETERS if f"{{{name}}}" in address]
    channel: Node = {
        "address": f"{DEFAULT_PREFIX}.{address}",
        "messages": {name: _named(name) for name in messages},
    }
    if used:
        channel["parameters"] = {name: {"description": PARAMETERS[name]} for name in used}
    return channel


def _operations() -> Node:
    found: Node = {}
    for op in OPS.values():
        reply = {"channel": _at("reply"), "messages": [_in("reply", f"result-{op.name}")]}
        found[op.name] = _operation("receive", f"rpc-{op.name}", DOES[op.name]) | {"reply": reply}
        if op.changes:
            found[f"{op.name}-durably"] = _operation("receive", f"cmd-{op.name}", DOES[op.name])
    for kind, data in EVENT_DATA.items():
        found[f"tell-{kind}"] = _operation("send", f"evt-{kind}", _first_line(data))
    for name, channel, kind in TOLD:
        found[name] = _operation("send", channel, _first_line(kind))
    found["hear-frames"] = _operation("receive", "io-up")
    found["hear-words"] = _operation("receive", "ckpt")
    return found


TOLD: tuple[tuple[str, str, type[Record] | None], ...] = (
    ("tell-accepted", "res-accepted", Accepted),
    ("tell-result", "res-result", Result),
    ("tell-progress", "progress", Progress),
    ("send-frames", "io-down", None),
    ("ship-output", "log", ShippedOutput),
    ("carry", "ckpt", None),
    ("tell-presence", "kv-nodes", PROJECTIONS["nodes"]),
    ("tell-state", "kv-containers", PROJECTIONS["containers"]),
)


def _operation(action: str, channel: str, told: str = "") -> Node:
    summary = {"summary": told} if told else {}
    return {"action": action, "channel": _at(channel), **summary, "bindings": BINDING}


def _first_line(kind: type[Record] | None) -> str:
    return " ".join((kind.__doc__ or "").split("\n\n")[0].split()) if kind else ""


def _message(title: str, payload: Node) -> Node:
    return {"title": title, "contentType": CONTENT_TYPE, "payload": payload}


def _with(envelope: type[Record], **properties: Node) -> Node:
    return {"allOf": [_ref(envelope), {"type": "object", "properties": properties}]}


def _any(kinds: Any) -> Node:
    return {"oneOf": [_ref(kind) for kind in kinds.__args__]}


def _ref(kind: type[Record]) -> Node:
    return {"$ref": SCHEMA.format(name=kind.__name__)}


def _named(message: str) -> Node:
    return {"$ref": f"#/components/messages/{message}"}


def _at(channel: str) -> Node:
    return {"$ref": f"#/channels/{channel}"}


def _in(channel: str, message: str) -> Node:
    return {"$ref": f"#/channels/{channel}/messages/{message}"}


def _plain(value: Any) -> Any:
    """AsyncAPI's schemas are of draft 07, where a discriminator is a name alone."""
    if isinstance(value, dict):
        told = {key: _plain(item) for key, item in value.items()}
        if isinstance(told.get("discriminator"), dict):
            told["discriminator"] = told["discriminator"]["propertyName"]
        return told
    return [_plain(item) for item in value] if isinstance(value, list) else value


HEADER = "# Generated by docs/generate.py from wharfside_protocol; do not edit.\n"

DESCRIPTION = """\
Container nodes that are driven over NATS. The application is the agent of one node: it receives
commands and sends events. Payloads are msgpack maps with string keys; the schemas tell their JSON
form, where bytes are base64. docs/protocol.md tells the rules that no schema can.

Streams keep `cmd`, `evt`, `res`, `ckpt` and `log`. What they keep of `evt` and `res` the server
publishes again below `live.evt` and `live.res`, the latest values of the buckets below `kv`.
"""
