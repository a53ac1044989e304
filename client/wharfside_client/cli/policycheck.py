"""`policy-check`: would a command be let in? Asked of the node, and not run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wharfside_client.cli import exitcodes
from wharfside_client.cli.command import command
from wharfside_client.cli.places import OneNode
from wharfside_client.cli.session import Session

if TYPE_CHECKING:
    from wharfside_protocol.node_commands import PolicyCheckValue

Fields = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[FIELD=VALUE]...",
        show_default=False,
        help="Its arguments (docs/protocol.md): values are JSON, or text; or one JSON object",
    ),
]


def register(app: typer.Typer) -> None:
    command(app, "policy-check")(policy_check)


async def policy_check(
    session: Session,
    node: OneNode,
    op: Annotated[str, typer.Argument(metavar="OP", show_default=False)],
    fields: Fields = None,
) -> int:
    """Ask a node whether it would let a command in, by its policy and capacity; run nothing.

    For example: policy-check n1 run container=web source.rootfs=/srv/web process.args='["sh"]'.
    Exit status 1: it would not.
    """
    args = arguments(fields or [])
    async with session.connect() as w:
        value = await w.node(node).policy_check(op, args, **session.options)
    if session.output.json:
        session.output.document(value)
    else:
        session.output.line(_said(node, value))
    return exitcodes.OK if value.allowed else exitcodes.REFUSED


def arguments(words: list[str]) -> dict[str, Any]:
    """`{...}` as it stands; `a.b=value` words as the object that they spell.

    Raises:
        typer.BadParameter: a word is neither.
    """
    if len(words) == 1 and words[0].startswith("{"):
        try:
            return dict(json.loads(words[0]))
        except ValueError as error:
            raise typer.BadParameter(f"not JSON: {error}") from error
    args: dict[str, Any] = {}
    for word in words:
        path, equals, text = word.partition("=")
        if not equals or not all(path.split(".")):
            raise typer.BadParameter(f"{word!r}: write FIELD=VALUE, as limits.pids=100")
        _put(args, path.split("."), _value(text))
    return args


def _put(args: dict[str, Any], path: list[str], value: Any) -> None:
    *above, last = path
    for name in above:
        args = args.setdefault(name, {})
        if not isinstance(args, dict):
            raise typer.BadParameter(f"{name} is given twice, with fields and without")
    args[last] = value


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _said(node: str, value: PolicyCheckValue) -> str:
    if value.error is None:
        return f"{node}: {value.op} would be let in (by {value.rules})"
    return f"{node}: {value.op} would not be let in: {value.error.message}"
