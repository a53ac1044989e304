#!/usr/bin/env python3
"""Draws what the docs say of the code from the code itself.

`python docs/generate.py` rewrites docs/protocol.md, docs/protocol/ and the drawn parts of
docs/architecture.md, docs/operations.md and docs/orchestrators.md; with `--check` it only says
whether they are stale (exit 1).
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

import asyncapi
import msgspec

from wharfside_agent.composition.measures import METRICS
from wharfside_agent.core.event_order import ORDER
from wharfside_agent.core.lifecycle import TABLE
from wharfside_agent.core.relist import FINDINGS
from wharfside_agent.core.trust import AHEAD_S
from wharfside_client.cli import documents
from wharfside_protocol.assets import streams
from wharfside_protocol.codec import MAX_DEPTH, MAX_MESSAGE_BYTES
from wharfside_protocol.commands import Progress
from wharfside_protocol.envelope import Accepted, Command, Result
from wharfside_protocol.errors import ERRORS
from wharfside_protocol.events import EVENT_DATA, Event
from wharfside_protocol.io_flow import MAX_FRAMES
from wharfside_protocol.io_frames import COST, MAX_WIRE_BYTES, DownFrame, UpFrame
from wharfside_protocol.ops import OPS
from wharfside_protocol.records import Record
from wharfside_protocol.schemas import catalogue
from wharfside_protocol.shipped import ShippedOutput
from wharfside_protocol.signing import (
    DOMAIN,
    KEY_HEADER,
    SIGNATURE_HEADER,
    TIME_HEADER,
)
from wharfside_protocol.subjects import Subjects
from wharfside_protocol.views import ContainerProjection, NodeInfo

DOCS = Path(__file__).parent
ARCHITECTURE = DOCS / "architecture.md"
OPERATIONS = DOCS / "operations.md"
PROTOCOL = DOCS / "protocol.md"
ASYNCAPI = DOCS / "protocol" / "asyncapi.yaml"
SCHEMAS = DOCS / "protocol" / "schemas.json"
GUIDE = DOCS / "orchestrators.md"
DOCUMENTS = DOCS / "protocol" / "cli.json"
SCHEDULER = DOCS / "examples" / "scheduler.py"

Rows = Iterable[Iterable[object]]


def table(headings: Iterable[str], rows: Rows) -> str:
    """A Markdown table."""
    heads = list(headings)
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += [
        "| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows
    ]
    return "\n".join(lines)


def first_line(thing: object) -> str:
    return (thing.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ").replace("    ", "")


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
    return "" if value in (None, {}, []) else f"`{value}`"


def shape(told: dict[str, Any]) -> str:
    """A schema in a few words."""
    if "$ref" in told:
        name = str(told["$ref"]).rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in told:
        options = [shape(each) for each in told["anyOf"] if each != {"type": "null"}]
        return " or ".join(options)
    if told.get("type") == "array":
        return "list of " + shape(told.get("items", {}))
    if "enum" in told:
        return ", ".join(f"`{value}`" for value in told["enum"])
    if told.get("contentEncoding") == "base64":
        return "bytes"
    words = [str(told.get("type", "any"))]
    bounds = {"minimum": ">= {}", "maximum": "<= {}", "maxLength": "at most {} long"}
    words += [text.format(told[key]) for key, text in bounds.items() if key in told]
    if "pattern" in told:
        words.append(f"`{str(told['pattern']).removesuffix('(?!' + chr(92) + 'n)')}`")
    return ", ".join(words)


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
        table(("Op", "Arguments", "Value", "Changes", "In a lane", "For viewers"), ops),
    ]
    parts += ["## Errors", table(("Code", "Meaning"), errors)]
    parts += ["## Events", table(("Type", "Facts", "Meaning"), events)]
    parts += ["## Frames", table(("Frame", "Fields", "Goes", "Meaning"), frames())]
    parts += ["## Streams and buckets", table(("Name", "Subjects"), assets), "## Records"]
    for name in sorted(referenced(named)):
        if name in records:
            parts += [f"### {name}", first_line(records[name]), fields(records[name])]
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


def introduction() -> str:
    return INTRODUCTION.format(
        kib=MAX_MESSAGE_BYTES // 1024,
        depth=MAX_DEPTH,
        frame=MAX_WIRE_BYTES // 1024,
        cost=COST,
        frames=MAX_FRAMES,
        quarter=MAX_FRAMES // 4,
        key=KEY_HEADER,
        time=TIME_HEADER,
        signature=SIGNATURE_HEADER,
        domain=DOMAIN,
        ahead=AHEAD_S,
    )


INTRODUCTION = """\
# The protocol

Generated by `docs/generate.py` from `wharfside_protocol`; do not edit.

Payloads are msgpack maps with string keys, `application/vnd.msgpack`. Times are RFC 3339 in
UTC with nanoseconds. nil means absent, absent means the default. Unknown fields are ignored;
an unknown op, type or version is an error that names it. No message is larger than {kib} KiB
or nested deeper than {depth} levels; integers stay within +-(2^53 - 1); a map key never stands
there twice.

## Subjects

With the prefix `wharfside.v1` (configurable), shown as `$P`:

```
$P.rpc.<node>.<op>                    request/reply, answered while the node is connected
$P.cmd.<node>.<op>                    durable mailbox of one node: kept while the node is away
$P.evt.<node>.<container>.<type>      events; container "_node" for the node's own
$P.res.<node>.<command-id>.accepted   a durable command is in the node's store
$P.res.<node>.<command-id>.result     what became of it
$P.progress.<node>.<command-id>       Progress while a long command runs (`drain`); kept nowhere
$P.io.<node>.<peer>.<session>.up      frames of an I/O session to the node
$P.io.<node>.<peer>.<session>.down    and to the peer: the token that its user may use
$P.live.evt.>  $P.live.res.>  $P.kv.nodes.>  $P.kv.containers.>   what JetStream stored, republished
```

A request is a [Command](#command), the answer a [Result](#result). An event is an
[Event](#event) with CloudEvents 1.0 headers (`ce-id`, `ce-type` = `io.wharfside.container.exited`,
`ce-source`, `ce-time`, ...); its `data` holds the facts of its type. `traceparent` travels with
a command's answer.

The same command id with the same op and arguments is the same command: while the first runs a
repeat joins it, afterwards it gets the stored result (`replayed`) for 48 h. With another digest
it is a `conflict`.

## Durable commands

The same [Command](#command), published to `$P.cmd.<node>.<op>` with `Nats-Msg-Id`
`<node>.<id>`: its PubAck says that the stream keeps it (24 h). The node writes it into its
store, tells [Accepted](#accepted), runs it in the order of arrival a container, and tells the
[Result](#result); each of the two stands once on `res` for 48 h. Both carry the digest of the
command that has the id: where it is not the caller's own, the id was used for another command.
Ops that change nothing are `unsupported` there. What is no such command is terminated (a dead
letter), and where its id can be read a result tells why.

## Signed commands

Who may publish to a node may claim to be anyone. A node that trusts keys (`trust.keys`) knows the
actor of a command by its signature, whatever the bus says: three headers, the same over both
lanes.

| Header | |
|---|---|
| `{key}` | The signer's public key, an nkey of a user (`U...`). |
| `{time}` | The time of signing, RFC 3339 in UTC. |
| `{signature}` | The ed25519 signature, 64 bytes, in base64url without padding. |

Signed are these lines in ASCII, joined by a newline each, without one at the end:
`{domain}`, the command's id, op, node, the time of signing as in its header, the
deadline as in the command, the fence as `incarnation run revision` with a `-` for each that is not
there, and the digest in lower case hex: SHA-256 of the msgpack list `[op, args]` with the
arguments as they are sent, each map's keys sorted by their code points and without those that are
nil, each number in its shortest form, whole numbers as integers. A signed command must have a
deadline. Its `actor` is left out, or is the one that the node knows for the key. A repeat under
the same id may be signed again, or be the same message.

For example (`protocol/vectors/signatures.json` has more), with the bytes 00 01 ... 1f as the raw
seed, in nkeys' own form
`SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y`, a `start` with the arguments
`{{"container": "web"}}`, and run 0 and revision 4 expected: the digest is that of the bytes
`92a5737461727481a9636f6e7461696e6572a3776562`, what is signed is

```
wharfside-command-v1
vector-0001
start
n1
2026-01-31T09:00:00.000000000Z
2026-01-31T09:00:30Z
- 0 4
0e9edb9ca3c8e42f01cf3c0ef4b10a521b64278ba35b386990d4e9be5ff7f1a5
```

and the headers are

```
Wharfside-Key: UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK
Wharfside-Signed-At: 2026-01-31T09:00:00.000000000Z
Wharfside-Signature: G0Y8Be2jsdNp1taBlReDTK7Qh_Kod4_31DXBDTkG6Z6ufM8s9GZxSCyeQo_HHSa5GS_vOweGYp\
9FhmfjRjXvDw
```

A node answers `denied`, with the rule in `details.rule`: `trust.require` (it must be signed here),
`trust.keys` (a key that is not trusted), `trust.signature` (no signature of that key over this
command), `trust.deadline`, `trust.actor`, `trust.signed-at` (more than {ahead} s ahead of the
node's clock, or before its store began). A key that signs commands must never log in to a NATS
server: that one chooses what a login signs.

## I/O sessions

Listen to `$P.io.<node>.<peer>.<session>.down`, with a session name of your own making, and call
an op that takes an [Opening](#opening); its value has a [SessionView](#sessionview). From then on
frames (below) go both ways, each a map whose `frame` names its kind, of at most {frame} KiB.

- **Place**: `at` counts what came before the frame in this direction: the bytes of data, and {cost}
  for each chunk and for each frame that has none. Take only the frame whose `at` is where the
  last one ended; drop one that begins earlier; ask with `again` for the place that you expect
  where one begins later, once for each gap.
- **Window**: no data that begins beyond the last `ack`'s `at` + `window` (at first the view's
  `keeps` down, its `window` up), and at most {frames} frames that are not acked. Ack what was
  taken from you, not what came: each half of that, each {quarter} frames, and after 0.1 s.
  Keep what is not acked; at `again` send all from there once more.
- **Ping** soon while something is not acked (0.25 s, then twice as long each time), after a
  reconnect, and at least at half of the view's `idle_s`; answer one with `again` where its `at` is
  beyond what you expect, else with an `ack`. After `idle_s` without any frame the other side is
  gone.
- **Ends**: `eof` ends the data of one direction. The node's `eof` is its last; once it is acked
  the session is over. `close` ends it at once; so does `reset`, which says why. A `reset` whose
  details have `session` = `gone` means that the node does not know the session (its agent has died,
  or goes down): open another one, behind the last `position` that came.
"""


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
    parts["documents"] = printed()
    for name, part in parts.items():
        pattern = rf"(<!-- drawn: {name} -->\n).*?(<!-- end -->)"
        text = re.sub(pattern, lambda m, part=part: m[1] + part + "\n" + m[2], text, flags=re.S)
    return text


def main() -> int:
    wanted = {path: drawn(path.read_text()) for path in (ARCHITECTURE, OPERATIONS, GUIDE)}
    wanted[PROTOCOL] = protocol()
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
