"""`commands`, `result`, `cancel`: what became of commands, by node and id."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wharfside_client.cli import exitcodes, parse, words
from wharfside_client.cli.command import command
from wharfside_client.cli.output import Column
from wharfside_client.cli.places import NodeOf, OneNode
from wharfside_client.cli.session import Session

if TYPE_CHECKING:
    from wharfside_protocol.node_commands import CommandState, CommandSummary

Id = Annotated[
    Any, typer.Argument(parser=parse.command_id, metavar="ID", show_default=False, help="Its id")
]

COLUMNS = (
    Column("COMMAND", "bold"),
    Column("OP"),
    Column("CONTAINER", grows=True),
    Column("STATE", "cyan"),
    Column("LANE"),
    Column("AGE", right=True),
)


def register(app: typer.Typer) -> None:
    command(app, "commands")(commands)
    command(app, "result")(result)
    command(app, "cancel")(cancel)


async def commands(
    session: Session,
    node: OneNode,
    last: Annotated[
        int, typer.Option("--last", "-n", min=0, metavar="COUNT", help="So many; 0: all of 48 h")
    ] = 50,
) -> None:
    """List the commands that a node keeps, the last received first."""
    async with session.connect() as w:
        found = await w.node(node).commands(most=last or None, **session.options)
    if session.output.json:
        session.output.document(found)
    else:
        session.output.table(COLUMNS, [_row(each) for each in found])


async def result(
    session: Session,
    node: NodeOf,
    id: Id,
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Until a durable one is done")] = False,
) -> int:
    """Tell what became of a command: its state, and its value or error once it is done.

    Of a durable command also while its node is away. Exits 1 where it has failed. Takes what
    --no-wait prints: wharfside result --wait $(wharfside stop --no-wait n1/web)
    """
    async with session.connect() as w:
        if wait:
            from wharfside_client.durable import LONGEST_S

            async with w.node(node).posted(id) as posted:
                await posted.result(session.flags.timeout or LONGEST_S)
        found = await w.node(node).result(id, **session.options)
    if session.output.json:
        session.output.document(found)
    else:
        _tell(session, found)
    return exitcodes.REFUSED if found.result and not found.result.ok else exitcodes.OK


async def cancel(session: Session, node: NodeOf, id: Id) -> int:
    """Cancel a command that waits, or that only waits for a process to end."""
    async with session.connect() as w:
        found = await w.node(node).cancel(id, **session.options)
    if session.output.json:
        session.output.document(found)
    elif found.canceled:
        session.output.line(id)
    else:
        session.output.warn(f"{id} is done, or too far to be canceled")
    return exitcodes.OK if found.canceled else exitcodes.REFUSED


def _row(each: CommandSummary) -> Sequence[str]:
    failed = f" ({each.error})" if each.error else ""
    age = words.age(each.received_at, time.time_ns())
    return (each.command, each.op, each.container or "-", f"{each.state}{failed}", each.lane, age)


def _tell(session: Session, found: CommandState) -> None:
    from wharfside_client.cli.plain import dumps

    session.output.line(f"{found.op} {found.command}: {found.state}")
    result = found.result
    if result is not None and result.error is not None:
        session.output.warn(f"{result.error.code}: {result.error.message}")
    elif result is not None:
        for line in dumps(result.value, pretty=True).splitlines():
            session.output.line(line)
