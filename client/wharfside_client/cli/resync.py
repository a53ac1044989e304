"""`resync`: a node's latest states in the bucket, made anew."""

from __future__ import annotations

import typer

from wharfside_client.cli.command import command
from wharfside_client.cli.places import OneNode
from wharfside_client.cli.session import Session


def register(app: typer.Typer) -> None:
    command(app, "resync")(resync)


async def resync(session: Session, node: OneNode) -> None:
    """Put a node's latest states again, and remove those it does not know."""
    async with session.connect() as w:
        done = await w.resync(node)
    if session.output.json:
        session.output.document(done)
    else:
        session.output.line(f"{done.node}: {done.names} put again, {len(done.removed)} removed")
