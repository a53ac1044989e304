"""`dead-letters`: commands that no node took, and sending one again."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from wharfside_client.cli import exitcodes, words
from wharfside_client.cli.command import command
from wharfside_client.cli.output import Column
from wharfside_client.cli.places import NodeOrAll
from wharfside_client.cli.session import Session

if TYPE_CHECKING:
    from wharfside_client.deadletters import DeadLetter

COLUMNS = (
    Column("SEQ", "bold", right=True),
    Column("NODE"),
    Column("OP"),
    Column("COMMAND"),
    Column("AGE", right=True),
    Column("WHY", grows=True),
)


def register(app: typer.Typer) -> None:
    command(app, "dead-letters")(dead_letters)


async def dead_letters(
    session: Session,
    node: NodeOrAll = None,
    resend: Annotated[
        int | None,
        typer.Option("--resend", min=1, metavar="SEQ", help="Send this one again, and say its id"),
    ] = None,
) -> int:
    """List the durable commands that a node terminated, or was given in vain."""
    async with session.connect() as w:
        if resend is not None:
            id_ = await w.dead_letters.resend(resend)
            if session.output.json:
                session.output.document({"command": id_})
            else:
                session.output.line(id_)
            return exitcodes.OK
        found = await w.dead_letters.list(node)
    if session.output.json:
        session.output.document(found)
    else:
        session.output.table(COLUMNS, [_row(each) for each in found])
    return exitcodes.OK


def _row(each: DeadLetter) -> Sequence[str]:
    why = each.reason or f"given {each.deliveries} times, never acknowledged"
    return (
        str(each.seq),
        each.node,
        each.op or "-",
        each.command or "-",
        words.age(each.at, time.time_ns()),
        why if each.subject else f"{why} (the message itself has expired)",
    )
