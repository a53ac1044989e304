"""`checkpoint save` and `checkpoint load`: checkpoints as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wharfside_client.cli import exitcodes, parse, words
from wharfside_client.cli.command import command
from wharfside_client.cli.places import OneNode, OneTarget
from wharfside_client.cli.session import Session


def register(checkpoint_app: typer.Typer) -> None:
    command(checkpoint_app, "save")(save)
    command(checkpoint_app, "load")(load)


async def save(
    session: Session,
    target: OneTarget,
    checkpoint: Annotated[str, typer.Argument(parser=parse.name, metavar="CHECKPOINT")],
    to: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The tar to write")],
    incarnation: Annotated[
        str | None, typer.Option("--incarnation", help="Of a container that is deleted")
    ] = None,
) -> int:
    """Save a checkpoint to a file, which `load` and CRIU's own tools read."""
    async with session.connect() as w:
        written = await w.node(target.node).save_checkpoint(
            target.container, checkpoint, to, incarnation=incarnation, **session.options
        )
    if session.output.json:
        session.output.document({"file": str(to), "bytes": written})
    else:
        session.output.line(f"{to}: {words.size(written)}")
    return exitcodes.OK


async def load(
    session: Session,
    node: OneNode,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `save` has written")],
) -> int:
    """Bring a saved checkpoint to a node; `restore` makes a container of it there."""
    async with session.connect() as w:
        view = await w.node(node).load_checkpoint(file, **session.options)
    if session.output.json:
        session.output.document(view)
    else:
        session.output.line(f"{view.checkpoint} of {view.container} ({view.incarnation})")
    return exitcodes.OK
