"""`attach`: into a process that runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from wharfside_client.cli import parse
from wharfside_client.cli.command import command
from wharfside_client.cli.ioflags import AttachFlags
from wharfside_client.cli.places import OneTarget
from wharfside_client.cli.session import Session

if TYPE_CHECKING:
    from wharfside_client.node import Node

Process = Annotated[
    str, typer.Option("--process", parser=parse.name, metavar="ID", help="An exec's")
]


def register(app: typer.Typer) -> None:
    command(app, "attach", runs=True)(attach)


async def attach(
    session: Session,
    target: OneTarget,
    flags: AttachFlags,
    process: Process = "init",
    no_stdin: Annotated[
        bool, typer.Option("--no-stdin", help="Pass no input on: look on alone")
    ] = False,
    take: Annotated[
        bool, typer.Option("--take", help="Take the place of whoever types into it now")
    ] = False,
) -> int:
    """See and type into a running process as if it ran here; exit as it does.

    Several may look on, one types. What was printed before is in `logs`.
    """
    from wharfside_client.cli import running
    from wharfside_client.cli.foreground import Foreground

    async with session.connect() as w:
        node = w.node(target.node)
        stdin = not no_stdin and await _has_stdin(node, target, process)
        wanted: dict[str, Any] = {"container": target.container, "process": process}
        wanted |= {"stdin": stdin, "take": take}
        async with node.session("attach", wanted, resume=True, **session.options) as remote:
            front = Foreground(session, node, target, flags, stdin, remote.view.tty, process)
            return await running.attach(front, remote)


async def _has_stdin(node: Node, target: parse.Target, process: str) -> bool:
    """Of an exec the node itself tells, since its record does not."""
    if process != "init":
        return True
    return (await node.inspect(target.container)).spec.io.stdin
