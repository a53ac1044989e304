#!/usr/bin/env python3
"""Writes the vectors beside this file: each record as JSON and as msgpack bytes.

`python protocol/vectors/make.py` adds what is missing and changes nothing that is there: a vector
is a promise that its bytes stay readable. So it does with `../kept.json`, the shapes of the
records. `--check` only says what is missing (exit 1).
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import kept
import malformed
import samples
import signatures

from wharfside_protocol.cloudevents import to_headers
from wharfside_protocol.codec import encode, pack, to_plain
from wharfside_protocol.digest import command_digest
from wharfside_protocol.envelope import Command, Result
from wharfside_protocol.event_facts import EVENT_DATA
from wharfside_protocol.events import Event
from wharfside_protocol.ops import OPS
from wharfside_protocol.records import Record
from wharfside_protocol.schemas import ENVELOPES, FRAMES, PROJECTIONS, WORDS

HERE = Path(__file__).parent

Vector = dict[str, Any]


def in_json(value: Any) -> Any:
    """The JSON form of plain values: bytes in base64."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Mapping):
        return {key: in_json(item) for key, item in value.items()}
    return [in_json(item) for item in value] if isinstance(value, list) else value


def vector(name: str, record: Record, **more: Any) -> Vector:
    told: Vector = {"name": name, "record": type(record).__name__, **more}
    return told | {"json": in_json(to_plain(record)), "msgpack": encode(record).hex()}


def both(kind: type[Record]) -> list[Vector]:
    """With the least that it needs, and with every field; the name counts the fields."""
    count = len(kind.__struct_fields__)
    return [
        vector(f"{kind.__name__}, the least of {count} fields", samples.least(kind)),
        vector(f"{kind.__name__}, all of {count} fields", samples.whole(kind)),
    ]


def commands() -> Iterable[Vector]:
    """Of each op: the whole envelope, and the digest of op and arguments."""
    for op in OPS.values():
        args = to_plain(samples.whole(op.args))
        count = len(op.args.__struct_fields__)
        command = Command(id=f"{op.name}-0001", op=op.name, node="node-a", args=args)
        digest = command_digest(op.name, args)
        yield vector(f"{op.name}, all of {count} arguments", command, digest=digest)
    yield from as_javascript_has_it()


def as_javascript_has_it() -> Iterable[Vector]:
    """Whole floats come as integers, undefined as nil: the same command, the same digest."""
    args = {"container": "web", "signal": None, "grace_s": 10}
    plain = {"id": "stop-000001", "op": "stop", "node": "node-a", "deadline": None, "args": args}
    meant = {"container": "web", "grace_s": 10.0}
    yield {
        "name": "stop, as JavaScript has it",
        "record": "Command",
        "digest": command_digest("stop", meant),
        "json": {"id": "stop-000001", "op": "stop", "node": "node-a", "args": meant},
        "msgpack": raw(plain),
    }


def raw(value: Any) -> str:
    import msgpack

    data: bytes = msgpack.packb(value, use_bin_type=True)
    return data.hex()


def results() -> Iterable[Vector]:
    for op in OPS.values():
        value = to_plain(samples.whole(op.value))
        count = len(op.value.__struct_fields__)
        result = Result(id=f"{op.name}-0001", op=op.name, node="node-a", ok=True, value=value)
        yield vector(f"{op.name}, all of {count} fields", result)
    refused = Result(
        id="stop-000001", op="stop", node="node-a", ok=False, error=samples.whole(samples.Error)
    )
    yield vector("an error", refused)


def events() -> Iterable[Vector]:
    """With their CloudEvents headers."""
    for kind, data in EVENT_DATA.items():
        plain = samples.fields(Event, whole=True) | {
            "type": str(kind),
            "data": to_plain(samples.whole(data)),
        }
        event = samples.made(Event, plain)
        count = len(data.__struct_fields__)
        yield vector(f"{kind}, all of {count} facts", event, headers=to_headers(event))


def of_kinds(kinds: Iterable[type[Record]]) -> Iterable[Vector]:
    for kind in kinds:
        yield from both(kind)


def wanted() -> dict[str, list[Vector]]:
    return {
        "envelopes": list(of_kinds(ENVELOPES)),
        "commands": list(commands()),
        "results": list(results()),
        "events": list(events()),
        "frames": list(of_kinds(FRAMES)),
        "buckets": list(of_kinds(PROJECTIONS.values())),
        "words": list(of_kinds(WORDS)),
        "signatures": list(signatures.vectors()),
        "malformed": list(malformed.vectors(pack)),
    }


def main() -> int:
    lacking = add_vectors()
    lacking += keep(kept.today(written()))
    return 1 if lacking and "--check" in sys.argv else 0


def keep(now: dict[str, Any]) -> int:
    """How much was lacking of it.

    Raises:
        SystemExit: it breaks what is kept.
    """
    if kept.FILE.exists():
        if found := kept.breaches(kept.read(), now):
            raise SystemExit("\n".join(["version 1 would be broken:", *found]))
        if kept.FILE.read_text() == kept.text(now):
            return 0
    if "--check" in sys.argv:
        print(f"{kept.FILE.name} lacks what is new")
    else:
        kept.FILE.write_text(kept.text(now))
    return 1


def written() -> dict[str, list[Vector]]:
    """The vectors as they stand in their files."""
    return {family: json.loads((HERE / f"{family}.json").read_text()) for family in wanted()}


def add_vectors() -> int:
    """How many were lacking."""
    lacking = 0
    for family, vectors in wanted().items():
        path = HERE / f"{family}.json"
        there = json.loads(path.read_text()) if path.exists() else []
        known = {each["name"] for each in there}
        new = [each for each in vectors if each["name"] not in known]
        lacking += len(new)
        if new and "--check" in sys.argv:
            print(f"{path.name} lacks: {', '.join(each['name'] for each in new)}")
        elif new:
            path.write_text(lines([*there, *new]))
    return lacking


def lines(vectors: list[Vector]) -> str:
    """One vector a line: a diff shows which were added."""
    each = ",\n".join(json.dumps(vector, ensure_ascii=False) for vector in vectors)
    return f"[\n{each}\n]\n"


if __name__ == "__main__":
    raise SystemExit(main())
