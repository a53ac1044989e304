"""What each command prints with `--json`, as JSON Schemas; of those that print a record, its own.

Every field of a record stands there, also one that is null. Bytes are text where they are UTF-8;
else base64, and `<name>_encoding` beside them says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from wharfside_client.assets import AssetReport
from wharfside_client.auth.equipping import Equipped
from wharfside_client.auth.members import Change
from wharfside_client.auth.rotation import Revoked, Rotated
from wharfside_client.auth.shown import ShownUser
from wharfside_client.auth.sites import SiteChange
from wharfside_client.deadletters import DeadLetter
from wharfside_client.fleet import NodeStatus
from wharfside_client.resync import Resynced
from wharfside_protocol.checkpoints import CheckpointView
from wharfside_protocol.event_facts import AuditRecord
from wharfside_protocol.events import Event
from wharfside_protocol.io_frames import Position
from wharfside_protocol.migration import MigrationView
from wharfside_protocol.node_commands import CommandSummary, ContainerUsage
from wharfside_protocol.ops import OPS
from wharfside_protocol.records import Record
from wharfside_protocol.schemas import DIALECT, definitions
from wharfside_protocol.stats import Usage
from wharfside_protocol.views import (
    ContainerProjection,
    ContainerView,
    NodeInfo,
)

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer", "minimum": 0}
NUMBER: Schema = {"type": "number"}
TRUTH: Schema = {"type": "boolean"}


PRINTED: tuple[type[Record], ...] = (
    AssetReport,
    AuditRecord,
    Change,
    CheckpointView,
    CommandSummary,
    ContainerProjection,
    ContainerView,
    DeadLetter,
    Equipped,
    Event,
    MigrationView,
    NodeInfo,
    NodeStatus,
    Position,
    Resynced,
    Revoked,
    Rotated,
    ShownUser,
    SiteChange,
    Usage,
)
"""The records that are printed besides the values of ops."""


def _ref(kind: type[Record]) -> Schema:
    return {"$ref": f"#/$defs/{kind.__name__}"}


def _value(op: str) -> Schema:
    return _ref(OPS[op].value)


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _list(of: Schema) -> Schema:
    return {"type": "array", "items": of}


def _or_null(of: Schema) -> Schema:
    return {"anyOf": [of, {"type": "null"}]}


def _any(*of: Schema) -> Schema:
    return {"anyOf": list(of)}


def _with(of: Schema, **more: Schema) -> Schema:
    return {"allOf": [of, _object(**more)]}


ERROR = _object(code=TEXT, message=TEXT, stage=_or_null(TEXT), details={"type": "object"})
POSTED = _object(command=TEXT)
"""Of `--durable --no-wait`: the id under which `wharfside result` tells more."""
UNANSWERED = _list(_object(node=TEXT, error=ERROR))
WATCHED = _object(silent=TRUTH, seen_at=TEXT, info=_ref(NodeInfo))
PROJECTION = _ref(ContainerProjection)


def _each(op: str, *, posted: bool = True) -> Schema:
    """One entry a container that is named, in that order."""
    named = {"node": TEXT, "container": TEXT}
    value = _any(_value(op), POSTED) if posted else _value(op)
    return _list(_any(_object(**named, value=value), _object(**named, error=ERROR)))


def _told(kind: str, **properties: Schema) -> Schema:
    return _object(type={"const": kind}, **properties)


_NAMED = _or_null(TEXT)
_FIGURES = {"cpu_percent": _or_null(NUMBER), "usage": _or_null(_ref(Usage))}
_LAST = _or_null(_object(type=TEXT, at=TEXT))
_TOP_NODE = _object(
    node=TEXT, standing=TEXT, running=WHOLE, containers=WHOLE, seen_at=TEXT, **_FIGURES
)
_FILE = _object(file=TEXT, bytes=WHOLE)
_AUTHORITY = _object(folder=TEXT, ca=TEXT)

ERRORS: Schema = _object(error=ERROR)
"""On stderr, where a command fails as a whole."""

DOCUMENTS: Mapping[str, Schema] = {
    "create": _any(_value("create"), POSTED),
    "run": _any(_value("wait"), _value("run"), POSTED),
    "exec": _any(_value("exec"), POSTED),
    "cp": _object(bytes=WHOLE),
    "ps": _object(containers=_list(_with(_ref(ContainerView), node=TEXT)), unanswered=UNANSWERED),
    "top": _object(
        nodes=_list(_TOP_NODE),
        containers=_list(_with(PROJECTION, last_event=_LAST, **_FIGURES)),
        unanswered=UNANSWERED,
    ),
    **{name: _each(name) for name in ("start", "stop", "pause", "resume", "update")},
    "restart": _each("start", posted=False),
    "kill": _each("signal"),
    "rm": _each("delete"),
    "wait": _each("wait", posted=False),
    "inspect": _each("inspect", posted=False),
    "stats": _any(
        _each("stats", posted=False),
        _object(
            containers=_list(_with(_ref(ContainerUsage), node=TEXT, cpu_percent=_or_null(NUMBER))),
            unanswered=UNANSWERED,
        ),
    ),
    "info": _value("info"),
    "checkpoint create": _any(_value("checkpoint"), POSTED),
    "checkpoint ls": _value("checkpoints"),
    "checkpoints": _value("checkpoints"),
    "checkpoint rm": _list(_value("delete-checkpoint")),
    "checkpoint prune": _object(
        removed=_list(_ref(CheckpointView)),
        bytes=WHOLE,
        in_use=_list(_ref(CheckpointView)),
        other_format=_list(_ref(CheckpointView)),
    ),
    "checkpoint save": _FILE,
    "checkpoint load": _ref(CheckpointView),
    "restore": _any(_value("restore"), POSTED),
    "migrate": _any(_value("migrate"), _value("abort-migration")),
    "migrations": _list(_ref(MigrationView)),
    "audit": _list(_with(_ref(AuditRecord), node=TEXT)),
    "commands": _list(_ref(CommandSummary)),
    "result": _value("result"),
    "cancel": _value("cancel"),
    "nodes": _list(_ref(NodeStatus)),
    "nodes add": _list(_ref(AssetReport)),
    "nodes rm": _list(_ref(AssetReport)),
    "policy-check": _value("policy-check"),
    "drain": _value("drain"),
    "undrain": _value("undrain"),
    "resync": _ref(Resynced),
    "bootstrap": _list(_ref(AssetReport)),
    "dead-letters": _any(_list(_ref(DeadLetter)), POSTED),
    "auth init": _ref(Change),
    "auth add-node": _list(_ref(Change)),
    "auth add-user": _any(_ref(Change), _list(_ref(AssetReport))),
    "auth add-site": _ref(SiteChange),
    "auth remove-site": _ref(SiteChange),
    "auth sign-key": _object(key=TEXT, actor=TEXT),
    "auth show": _any(_list(_ref(ShownUser)), _ref(ShownUser)),
    "auth rotate": _any(_ref(Rotated), _AUTHORITY),
    "auth revoke": _any(_ref(Revoked), _AUTHORITY),
    "auth push": _object(folder=TEXT),
    "auth tls": _ref(Equipped),
}
"""The one document of a command."""

LINES: Mapping[str, Schema] = {
    "events": _with(_ref(Event), seq=WHOLE),
    "logs": _any(
        _object(time=_NAMED, stream=TEXT, text=TEXT, position=_or_null(_ref(Position))),
        _object(lost=WHOLE, position=_or_null(_ref(Position))),
    ),
    "ps --watch": _any(
        _told("state", seq=WHOLE, nodes=_list(WATCHED), containers=_list(PROJECTION)),
        _told(
            "container-changed",
            seq=_or_null(WHOLE),
            old=_or_null(PROJECTION),
            new=PROJECTION,
            event=_NAMED,
        ),
        _told("container-gone", seq=_or_null(WHOLE), old=PROJECTION, event=_NAMED),
        _told("node-changed", old=_or_null(WATCHED), new=WATCHED),
        _told("node-gone", old=WATCHED),
        _told("resynced", seq=WHOLE, because=TEXT),
    ),
}
"""Of a command that prints an object a line."""

OTHERS: Mapping[str, str] = {
    "attach": "a session: the process's own bytes",
    "auth": "what there is below it",
    "api": "the op's value, as `wharfside schema OP --value` tells",
    "schema": "a JSON Schema",
}
"""What prints the same with and without `--json`."""


def document_schema(command: str) -> Schema:
    """The schema of a command's document, or of one of its lines."""
    body = {**DOCUMENTS, **LINES}[command]
    return {"$schema": DIALECT, **body, "$defs": _definitions([body])}


def catalogue() -> Schema:
    """All of them in one document."""
    return {
        "$schema": DIALECT,
        "title": "wharfside --json",
        "documents": dict(DOCUMENTS),
        "lines": dict(LINES),
        "errors": ERRORS,
        "$defs": _definitions([*DOCUMENTS.values(), *LINES.values()]),
    }


def _definitions(bodies: Iterable[Schema]) -> dict[str, Schema]:
    """What the bodies refer to, and what that does."""
    found = definitions([*(op.value for op in OPS.values()), *PRINTED])
    wanted: dict[str, Schema] = {}
    waiting = list(_named(list(bodies)))
    while waiting:
        name = waiting.pop()
        if name not in wanted:
            wanted[name] = _as_text(found[name])
            waiting += _named(found[name])
    return dict(sorted(wanted.items()))


def _named(value: Any) -> Iterable[str]:
    if isinstance(value, dict):
        if isinstance(ref := value.get("$ref"), str):
            yield ref.rpartition("/")[2]
        for item in value.values():
            yield from _named(item)
    elif isinstance(value, list):
        for item in value:
            yield from _named(item)


def _as_text(value: Any) -> Any:
    """Bytes as this side prints them."""
    if isinstance(value, dict):
        return {key: _as_text(item) for key, item in value.items() if key != "contentEncoding"}
    return [_as_text(item) for item in value] if isinstance(value, list) else value
