"""`create` and `run`: containers from a rootfs or a bundle on the node."""

from __future__ import annotations

from typing import Annotated

import typer

from wharfside_client.cli import complete, exitcodes, parse
from wharfside_client.cli.command import PASS_ON, command
from wharfside_client.cli.flags import LimitFlags, ProcessFlags, SpecFlags
from wharfside_client.cli.ioflags import AttachFlags, LogFlags, TtyFlags, make_io
from wharfside_client.cli.lane import LaneFlags, or_posted, tell_made, told_at_its_end
from wharfside_client.cli.parse import Place
from wharfside_client.cli.session import Session
from wharfside_client.cli.specs import make_args, make_target

NewTarget = Annotated[
    Place,
    typer.Argument(
        parser=parse.place,
        metavar="NODE[/CONTAINER]",
        show_default=False,
        help="Where, and its name (made up where left out)",
        autocompletion=complete.nodes,
    ),
]
Words = Annotated[
    list[str] | None, typer.Argument(metavar="[COMMAND [ARG]...]", show_default=False)
]


def register(app: typer.Typer) -> None:
    command(app, "create", runs=True, context_settings=PASS_ON)(create)
    command(app, "run", runs=True, context_settings=PASS_ON)(run)


async def create(
    session: Session,
    target: NewTarget,
    *,
    words: Words = None,
    spec: SpecFlags,
    process: ProcessFlags,
    limits: LimitFlags,
    streams: TtyFlags,
    log: LogFlags,
    lane: LaneFlags,
) -> None:
    """Create a container without starting it."""
    where = make_target(target, spec.name)
    io = make_io(streams, log, once=True)
    args = make_args(where.container, words or (), spec, process, limits, io=io)
    async with session.connect() as w:
        options = lane.options(session)
        making = w.node(where.node).create(args, **options)
        made = await or_posted(making, lane)
    tell_made(session, str(where), made)


async def run(
    session: Session,
    target: NewTarget,
    *,
    words: Words = None,
    spec: SpecFlags,
    process: ProcessFlags,
    limits: LimitFlags,
    streams: TtyFlags,
    log: LogFlags,
    lane: LaneFlags,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Do not wait for its end")] = False,
    rm: Annotated[bool, typer.Option("--rm", help="Remove it when it has ended")] = False,
    flags: AttachFlags,
) -> int:
    """Create and start a container; pass its output and our input on, exit as it did.

    125 to 127 are errors of ours: the node refused, the command cannot be run, there is no
    such command. With --json or --durable its output is told at its end, up to 64 KiB of
    each stream.
    """
    where = make_target(target, spec.name)
    at_its_end = told_at_its_end(session, streams, lane, detach=detach)
    # as docker: stdin of what nobody is attached to stays open for whoever comes
    io = make_io(streams, log, once=not detach)
    args = make_args(where.container, words or (), spec, process, limits, io=io, auto_remove=rm)
    async with session.connect() as w:
        node = w.node(where.node)
        options = lane.options(session)
        if not detach and not lane.no_wait:
            from wharfside_client.cli import at_end, running
            from wharfside_client.cli.foreground import Foreground

            front = Foreground.of(session, node, where, flags, io)
            run_it = at_end.run if at_its_end else running.run
            return await run_it(front, args, options)
        made = await or_posted(node.run(args, **options), lane)
    tell_made(session, str(where), made)
    return exitcodes.OK
