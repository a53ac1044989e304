#!/usr/bin/env python3
"""Draws what the docs say of the code from the code itself.

`python docs/generate.py` rewrites docs/protocol.md, docs/protocol/, docs/map.md and the drawn parts
of docs/architecture.md, docs/operations.md and docs/orchestrators.md; with `--check` it only says
whether they are stale (exit 1).
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from inspect import cleandoc
from pathlib import Path
from typing import Any, get_args

import asyncapi
import msgspec
import tree
from introduction import introduction

from wharfside_agent.composition.measures import METRICS
from wharfside_agent.core.event_order import ORDER
from wharfside_agent.core.lifecycle import TABLE
from wharfside_agent.core.relist import FINDINGS
from wharfside_client.cli import documents
from wharfside_protocol.assets import streams
from wharfside_protocol.envelope import Accepted, Command, Result
from wharfside_protocol.errors import ERRORS
from wharfside_protocol.event_facts import EVENT_DATA
from wharfside_protocol.events import Event
from wharfside_protocol.io_frames import DownFrame, UpFrame
from wharfside_protocol.node_commands import Progress
from wharfside_protocol.op_words import DOES
from wharfside_protocol.ops import OPS
from wharfside_protocol.records import Record
from wharfside_protocol.schemas import catalogue
from wharfside_protocol.shipped import ShippedOutput
from wharfside_protocol.subjects import Subjects
from wharfside_protocol.views import ContainerProjection, NodeInfo

DOCS = Path(__file__).parent
ARCHITECTURE = DOCS / "architecture.md"
OPERATIONS = DOCS / "operations.md"
PROTOCOL = DOCS / "protocol.md"
MAP = DOCS / "map.md"
ASYNCAPI = DOCS / "protocol" / "asyncapi.yaml"
SCHEMAS = DOCS / "protocol" / "schemas.json"
GUIDE = DOCS / "orchestrators.md"
DOCUMENTS = DOCS / "protocol" / "cli.json"
SCHEDULER = DOCS / "examples" / "scheduler.py"
FIRST_CALL = DOCS / "examples" / "first_call.go"

Rows = Iterable[Iterable[object]]

OPS_HEADINGS = (
    *("Op", "What it does", "Arguments", "Value"),
    *("Changes", "In a lane", "For viewers"),
)
OPS_INTRODUCTION = """\
**Changes**: kept under its id, and replayed to a repeat; it may go by the mailbox. **In a lane**:
one after the other for a container, in the order of arrival; the others wait for none.
**For viewers**: who may only look may ask it."""


def table(headings: Iterable[str], rows: Rows) -> str:
    """A Markdown table."""
    heads = list(headings)
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += [
        "| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows
    ]
    return "\n".join(lines)


def first_line(thing: object) -> str:
    return paragraphs(thing).split("\n\n")[0]


def paragraphs(thing: object) -> str:
    """All of its docstring, a line a paragraph."""
    text = cleandoc(thing.__doc__ or "")
    return "\n\n".join(part.replace("\n", " ") for part in text.split("\n\n"))


def states() -> str:
    rows = [
        (
            row.state,
            row.input,
            row.next or "-",
            f"`{row.event}`" if row.event else "-",
            "yes" if row.raises_revision else "",
        )
        for row in TABLE.values()
    ]
    return table(("State", "Input", "Next", "Event", "Revision + 1"), rows)


def diagram() -> str:
    edges: dict[tuple[str, str], list[str]] = {}
    for row in TABLE.values():
        if row.next is not None:
            edges.setdefault((row.state, row.next), []).append(row.input)
    lines = [f"    {a} --> {b}: {', '.join(inputs)}" for (a, b), inputs in edges.items()]
    return "\n".join(
        [
            "```mermaid",
            "stateDiagram-v2",
            "    [*] --> creating: create",
            *lines,
            "    deleted --> [*]",
            "```",
        ]
    )


def order() -> str:
    return table(
        ("Rule", "Promise", "Kept by"), ((rule.name, rule.promise, rule.kept_by) for rule in ORDER)
    )


def relist() -> str:
    return table(
        ("Finding", "Sign", "What is done"),
        ((kind, meaning.sign, meaning.action) for kind, meaning in FINDINGS.items()),
    )


def fields(kind: type[Record]) -> str:
    """The fields of a record with their types, as the schema tells them."""
    schema = msgspec.json.schema(kind)
    definition = schema["$defs"][kind.__name__]
    required = set(definition.get("required", ()))
    rows = [
        (f"`{name}`", shape(told), "yes" if name in required else "", default(told))
        for name, told in definition["properties"].items()
    ]
    return table(("Field", "Type", "Required", "Default"), rows) if rows else "No fields."


def default(told: dict[str, Any]) -> str:
    value = told.get("default")
    return "" if value is None else f"`{json.dumps(value)}`"


def shape(told: dict[str, Any]) -> str:
    """A schema in a few words."""
    if "$ref" in told:
        name = str(told["$ref"]).rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in told:
        options = [shape(each) for each in told["anyOf"] if each != {"type": "null"}]
        return " or ".join(options)
    if told.get("type") == "array":
        return count(told, "Items", "list") + shape(told.get("items", {}))
    if "additionalProperties" in told:
        return count(told, "Properties", "map") + shape(told["additionalProperties"])
    if "enum" in told:
        return ", ".join(f"`{value}`" for value in told["enum"])
    if told.get("contentEncoding") == "base64":
        return "bytes"
    words = [str(told.get("type", "any"))]
    bounds = {"minimum": ">= {}", "maximum": "<= {}"}
    bounds |= {"minLength": "at least {} long", "maxLength": "at most {} long"}
    words += [text.format(told[key]) for key, text in bounds.items() if key in told]
    if "pattern" in told:
        words.append(f"`{str(told['pattern']).removesuffix('(?!' + chr(92) + 'n)')}`")
    return ", ".join(words)


def count(told: dict[str, Any], of: str, what: str) -> str:
    """`what`, and how many it takes: list (1 to 64) of."""
    least, most = told.get(f"min{of}"), told.get(f"max{of}")
    if most is None:
        return f"{what} of "
    bounds = [f"{least} to {most}" if least else f"at most {most}"]
    if longest := told.get("propertyNames", {}).get("maxLength"):
        bounds.append(f"keys at most {longest} long")
    return f"{what} ({', '.join(bounds)}) of "


def referenced(kinds: Iterable[type[Record]]) -> dict[str, dict[str, Any]]:
    """Every record and enum that the named ones use, by name."""
    found: dict[str, dict[str, Any]] = {}
    for kind in kinds:
        found |= msgspec.json.schema(kind)["$defs"]
    return found


def protocol() -> str:
    """docs/protocol.md, whole."""
    subjects = Subjects()
    ops = [
        (
            f"`{op.name}`",
            DOES[op.name],
            f"[{op.args.__name__}](#{op.args.__name__.lower()})",
            f"[{op.value.__name__}](#{op.value.__name__.lower()})",
            "yes" if op.changes else "",
            "yes" if op.lane else "",
            "yes" if op.viewers else "",
        )
        for op in OPS.values()
    ]
    events = [
        (f"`{kind}`", f"[{data.__name__}](#{data.__name__.lower()})", first_line(data))
        for kind, data in EVENT_DATA.items()
    ]
    assets = [
        (f"`{each['name']}`", ", ".join(f"`{s}`" for s in each["subjects"]))
        for each in streams(subjects)
    ]
    errors = [(f"`{code}`", first_line(kind)) for code, kind in ERRORS.items()]
    named = [Command, Result, Accepted, Event, NodeInfo, ContainerProjection, Progress]
    named.append(ShippedOutput)
    named += [op.args for op in OPS.values()] + [op.value for op in OPS.values()]
    named += [*EVENT_DATA.values(), *get_args(UpFrame), *get_args(DownFrame)]
    records = {kind.__name__: kind for kind in _all_records()}
    parts = [introduction()]
    parts += [
        "## Ops",
        OPS_INTRODUCTION,
        table(
            ("Op", "What it does", "Arguments", "Value", "Changes", "In a lane", "For viewers"), ops
        ),
    ]
    parts += ["## Errors", table(("Code", "Meaning"), errors)]
    parts += ["## Events", table(("Type", "Facts", "Meaning"), events)]
    parts += ["## Frames", table(("Frame", "Fields", "Goes", "Meaning"), frames())]
    parts += ["## Streams and buckets", table(("Name", "Subjects"), assets), "## Records"]
    for name in sorted(referenced(named)):
        if name in records:
            parts += [f"### {name}", paragraphs(records[name]), fields(records[name])]
        else:
            told = referenced(named)[name]
            values = ", ".join(f"`{v}`" for v in told.get("enum", ()))
            parts += [f"### {name}", f"One of {values}."]
    return "\n\n".join(part for part in parts if part) + "\n"


def frames() -> list[tuple[str, str, str, str]]:
    """Each frame of an I/O session, with the ways that it goes."""
    up, down = get_args(UpFrame), get_args(DownFrame)
    return [
        (
            f"`{kind.__struct_config__.tag}`",
            f"[{kind.__name__}](#{kind.__name__.lower()})",
            " and ".join(way for way, kinds in (("up", up), ("down", down)) if kind in kinds),
            first_line(kind),
        )
        for kind in dict.fromkeys([*down, *up])
    ]


def _all_records() -> list[type[Record]]:
    found, queue = [], [Record]
    while queue:
        kind = queue.pop()
        found.append(kind)
        queue += kind.__subclasses__()
    return found


def metrics() -> str:
    rows = [
        (f"`{each.name}`", each.kind, ", ".join(f"`{label}`" for label in each.labels), each.help)
        for each in METRICS
    ]
    return table(("Metric", "Kind", "Labels", "Meaning"), rows)


def printed() -> str:
    """What each command of the CLI prints with `--json`."""
    rows = [(f"`{name}`", in_words(told)) for name, told in documents.DOCUMENTS.items()]
    rows += [(f"`{name}`", f"a line: {in_words(told)}") for name, told in documents.LINES.items()]
    rows += [(f"`{name}`", told) for name, told in documents.OTHERS.items()]
    return table(("Command", "With `--json`"), sorted(rows))


def in_words(told: dict[str, Any]) -> str:
    """A schema of the CLI's in a line; records by their names in cli.json."""
    if "$ref" in told:
        return f"`{str(told['$ref']).rpartition('/')[2]}`"
    if "const" in told:
        return f"`{told['const']}`"
    for key, joint in (("anyOf", " or "), ("allOf", " with ")):
        if key in told:
            return joint.join(in_words(each) for each in told[key])
    if told.get("type") == "array":
        return f"list of ({in_words(told['items'])})"
    parts = [
        f"{name}: {in_words(each)}" if "$ref" in json.dumps(each) else name
        for name, each in told.get("properties", {}).items()
    ]
    return f"{{{', '.join(parts)}}}" if parts else str(told["type"])


def drawn(text: str) -> str:
    """`text` with each marked part drawn anew."""
    parts = {"states": states(), "diagram": diagram(), "order": order(), "relist": relist()}
    parts["metrics"] = metrics()
    parts["scheduler"] = f"```python\n{SCHEDULER.read_text()}```"
    parts["first call"] = f"```go\n{FIRST_CALL.read_text()}```"
    parts["documents"] = printed()
    for name, part in parts.items():
        pattern = rf"(<!-- drawn: {name} -->\n).*?(<!-- end -->)"
        text = re.sub(pattern, lambda m, part=part: m[1] + part + "\n" + m[2], text, flags=re.S)
    return text


def main() -> int:
    wanted = {path: drawn(path.read_text()) for path in (ARCHITECTURE, OPERATIONS, GUIDE)}
    wanted[PROTOCOL] = protocol()
    wanted[MAP] = tree.document()
    wanted[ASYNCAPI] = asyncapi.document()
    wanted[SCHEMAS] = json.dumps(catalogue(), indent=1, ensure_ascii=False) + "\n"
    told = json.dumps(documents.catalogue(), indent=1, ensure_ascii=False)
    wanted[DOCUMENTS] = told + "\n"
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv:
        for path in stale:
            print(f"stale: {path.name}; run python docs/generate.py")
        return 1 if stale else 0
    for path in stale:
        path.parent.mkdir(exist_ok=True)
        path.write_text(wanted[path])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
