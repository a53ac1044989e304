"""`exec`: another process in a running container."""

from __future__ import annotations

from typing import Annotated

import typer

from wharfside_client.cli import exitcodes, parse
from wharfside_client.cli.command import PASS_ON, command
from wharfside_client.cli.flags import LaneFlags, ProcessFlags
from wharfside_client.cli.lane import or_posted, tell_made
from wharfside_client.cli.session import Session
from wharfside_client.cli.specs import make_process
from wharfside_client.cli.targets import OneTarget

Words = Annotated[list[str], typer.Argument(metavar="COMMAND [ARG]...", show_default=False)]


def register(app: typer.Typer) -> None:
    command(app, "exec", runs=True, context_settings=PASS_ON)(exec_)


async def exec_(
    session: Session,
    target: OneTarget,
    words: Words,
    process: ProcessFlags,
    lane: LaneFlags,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Do not wait for its end")] = False,
    limit: Annotated[
        float | None,
        typer.Option(
            "--limit", parser=parse.duration, metavar="TIME", help="The node kills it after so long"
        ),
    ] = None,
    id: Annotated[
        str | None, typer.Option("--id", parser=parse.name, help="A name for the process")
    ] = None,
) -> int:
    """Run a command in a running container; print its output, exit as it did."""
    spec = make_process(words, process)
    async with session.connect() as w:
        options = lane.options(session.options)
        working = w.node(target.node).exec(
            target.container, spec, id=id, wait=not detach, limit_s=limit, **options
        )
        done = await or_posted(working, lane)
    if isinstance(done, dict):
        tell_made(session, str(target), done)
        return exitcodes.OK
    if session.output.json:
        session.output.document(done)
    elif detach:
        session.output.line(done.process)
    else:
        from wharfside_client.cli.foreground import show

        show(session, done.output)
    return exitcodes.OK if detach else exitcodes.of_exit(done.exit)
