"""`drain` and `undrain`: a node takes no new work and is emptied, or takes work again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from wharfside_client.cli import exitcodes
from wharfside_client.cli.command import command
from wharfside_client.cli.places import OneNode
from wharfside_client.cli.session import Session

if TYPE_CHECKING:
    from wharfside_protocol.node_commands import DrainValue, Progress

WITHIN_S = 600.0


def register(app: typer.Typer) -> None:
    command(app, "drain")(drain)
    command(app, "undrain")(undrain)


async def drain(
    session: Session,
    node: OneNode,
    wait: Annotated[
        bool,
        typer.Option("--wait/--stop", help="Wait for containers to end, instead of stopping them"),
    ] = False,
) -> int:
    """Take no new work on a node, and empty it; --timeout bounds the waiting (10 minutes).

    Exit status 1: containers are left. The node stays draining until `undrain`.
    """
    import asyncio

    from wharfside_client.calls import UNREACHABLE_S, new_command_id
    from wharfside_protocol.node_commands import DrainPolicy

    policy = DrainPolicy.WAIT if wait else DrainPolicy.STOP
    within_s = WITHIN_S if session.flags.timeout is None else session.flags.timeout
    command_id = new_command_id()
    told: list[int] = []

    def tell(progress: Progress) -> None:
        if told[-1:] != [progress.left]:
            told.append(progress.left)
            session.output.warn(f"{node}: {progress.left} of {progress.total} left")

    async with session.connect() as w, w.progress(node, command_id, tell):
        draining = w.node(node).drain(
            policy, within_s=within_s, command_id=command_id, unreachable_s=UNREACHABLE_S
        )
        try:
            value = await draining
        except asyncio.CancelledError:
            session.output.warn(f"{node} goes on draining: `wharfside undrain {node}` ends it")
            raise
    return _tell(session, node, value)


def _tell(session: Session, node: str, value: DrainValue) -> int:
    if session.output.json:
        session.output.document(value)
    elif value.drained:
        session.output.line(f"{node} is drained")
    else:
        for name in value.left:
            session.output.line(f"{node}/{name}")
        session.output.warn(f"{node}: {value.left_count} still run; the node stays draining")
    return exitcodes.OK if value.drained else 1


async def undrain(session: Session, node: OneNode) -> int:
    """Let a node take work again; a drain that still waits ends."""
    async with session.connect() as w:
        value = await w.node(node).undrain(**session.options)
    if session.output.json:
        session.output.document(value)
    else:
        session.output.line(f"{node} is up" if value.was_draining else f"{node} was not draining")
    return exitcodes.OK
