"""`api` and `schema`: any op from JSON, and what its JSON looks like; for scripts."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wharfside_client.cli import parse
from wharfside_client.cli.command import command
from wharfside_client.cli.lane import LaneFlags, or_posted
from wharfside_client.cli.output import put
from wharfside_client.cli.places import OneNode
from wharfside_client.cli.session import Session

if TYPE_CHECKING:
    from wharfside_protocol.ops import Op
    from wharfside_protocol.records import Record

Name = Annotated[str, typer.Argument(metavar="OP", show_default=False)]


def register(app: typer.Typer) -> None:
    command(app, "api")(api)
    command(app, "schema")(schema)


async def api(
    session: Session,
    op: Name,
    node: OneNode,
    args: Annotated[
        str,
        typer.Argument(metavar="[JSON]", show_default=False, help="Its arguments; - reads stdin"),
    ] = "{}",
    *,
    id: Annotated[
        Any, typer.Option("--id", parser=parse.command_id, metavar="ID", help="The idempotency key")
    ] = None,
    expect: Annotated[
        str | None, typer.Option("--expect", metavar="JSON", help='{"revision": 7}')
    ] = None,
    lane: LaneFlags,
) -> None:
    """Send an op, its arguments as `wharfside schema OP` tells them; prints its value as JSON.

    Bytes are base64 both ways. Ops that open a session have commands of their own.
    """
    from wharfside_protocol.envelope import Expect

    known = _known(op, "op")
    _check_answered(known)
    given = _read(sys.stdin.buffer.read() if args == "-" else args, known.args, op)
    options = lane.options(session)
    if id is not None:
        options["command_id"] = id
    if expect is not None:
        options["expect"] = _read(expect, Expect, "--expect")
    async with session.connect() as w:
        value = await or_posted(w.node(node).call(op, given, **options), lane)
    _print(session, value)


async def schema(
    session: Session,
    name: Annotated[
        str, typer.Argument(metavar="[OP|EVENT]", show_default=False, help="Left out: of all")
    ] = "",
    value: Annotated[bool, typer.Option("--value", help="Of the op's value alone")] = False,
    whole: Annotated[
        bool, typer.Option("--whole", help="With its envelope: the whole command, or result")
    ] = False,
    cli: Annotated[
        str | None,
        typer.Option("--cli", metavar="COMMAND", help='What it prints with --json: "nodes add"'),
    ] = None,
) -> None:
    """Print the JSON Schema of an op's arguments, of an event, or of everything that travels."""
    from wharfside_protocol import schemas
    from wharfside_protocol.event_facts import EVENT_DATA

    if cli is not None:
        _print(session, _printed(cli))
    elif not name:
        _print(session, schemas.catalogue())
    elif name in EVENT_DATA:
        _print(session, schemas.event_schema(name))
    else:
        op = _known(name, "op or event")
        envelope = schemas.result_schema if value else schemas.command_schema
        record = op.value if value else op.args
        _print(session, envelope(op) if whole else schemas.record_schema(record))


def _printed(command: str) -> dict[str, Any]:
    """
    Raises:
        typer.BadParameter: no command prints a document under this name.
    """
    from wharfside_client.cli.documents import DOCUMENTS, LINES, document_schema

    if command not in {**DOCUMENTS, **LINES}:
        known = ", ".join(sorted({**DOCUMENTS, **LINES}))
        raise typer.BadParameter(f"no command {command!r} prints JSON; there are: {known}")
    return document_schema(command)


def _known(name: str, what: str) -> Op:
    """
    Raises:
        typer.BadParameter: no node could know what is not in our own table.
    """
    from wharfside_protocol.ops import OPS

    if name not in OPS:
        raise typer.BadParameter(f"no {what} {name!r}; there are: {', '.join(OPS)}")
    return OPS[name]


def _check_answered(op: Op) -> None:
    """
    Raises:
        typer.BadParameter: frames would follow the answer, and nobody here would take them.
    """
    import msgspec

    if any(field.name == "open" and field.required for field in msgspec.structs.fields(op.args)):
        raise typer.BadParameter(f"{op.name} opens an I/O session, which is more than one answer")


def _read(text: str | bytes, kind: type[Record], what: str) -> Any:
    """`what`: the op whose arguments it is, or the flag.

    Raises:
        typer.BadParameter: it is no JSON, not what `kind` is, or has a field that is none of its.
    """
    import msgspec

    known = [field.encode_name for field in msgspec.structs.fields(kind)]
    try:
        plain = msgspec.json.decode(text, type=dict[str, Any])
        unknown = ", ".join(sorted(plain.keys() - set(known)))
        if unknown:
            takes = ", ".join(known) or "nothing"
            raise typer.BadParameter(f"{what} has no {unknown}; it takes: {takes}")
        return msgspec.json.decode(text, type=kind)
    except msgspec.ValidationError as error:
        raise typer.BadParameter(f"{what}: {error}; it takes: {', '.join(known)}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise typer.BadParameter(
            f'{what} takes a JSON object such as {{"container": "web"}}: {error}'
        ) from error


def _print(session: Session, value: Any) -> None:
    import msgspec

    data = msgspec.json.encode(value)
    put((msgspec.json.format(data, indent=2) if session.output.terminal else data).decode())
