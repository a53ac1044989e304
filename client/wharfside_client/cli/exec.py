"""`exec`: another process in a running container."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wharfside_client.cli import exitcodes, parse
from wharfside_client.cli.command import PASS_ON, command
from wharfside_client.cli.flags import ProcessFlags
from wharfside_client.cli.ioflags import AttachFlags, LogFlags, TtyFlags, make_io
from wharfside_client.cli.lane import LaneFlags, or_posted, tell_made, told_at_its_end
from wharfside_client.cli.places import OneTarget
from wharfside_client.cli.session import Session
from wharfside_client.cli.specs import make_process

if TYPE_CHECKING:
    from wharfside_client.cli.parse import Target
    from wharfside_protocol.commands import ExecValue

Words = Annotated[list[str], typer.Argument(metavar="COMMAND [ARG]...", show_default=False)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecFlags:
    """What an exec has that no `run` has."""

    detach: Annotated[bool, typer.Option("--detach", "-d", help="Do not wait for its end")] = False
    limit: Annotated[
        float | None,
        typer.Option(
            "--limit", parser=parse.duration, metavar="TIME", help="The node kills it after so long"
        ),
    ] = None
    id: Annotated[
        str | None, typer.Option("--id", parser=parse.name, help="A name for the process")
    ] = None


def register(app: typer.Typer) -> None:
    command(app, "exec", runs=True, context_settings=PASS_ON)(exec_)


async def exec_(
    session: Session,
    target: OneTarget,
    words: Words,
    process: ProcessFlags,
    streams: TtyFlags,
    flags: AttachFlags,
    lane: LaneFlags,
    how: ExecFlags,
) -> int:
    """Run a command in a running container; pass its output and our input on, exit as it did.

    125 to 127 are errors of ours, as with `run`. With --json or --durable its output is told at
    its end, up to 64 KiB of each stream.
    """
    at_its_end = told_at_its_end(session, streams, lane, detach=how.detach)
    spec = make_process(words, process, tty=streams.tty)
    io = make_io(streams, LogFlags(), once=not how.detach)
    async with session.connect() as w:
        node, options = w.node(target.node), lane.options(session)
        if not (how.detach or at_its_end):
            from wharfside_client.cli import running
            from wharfside_client.cli.foreground import Foreground

            front = Foreground.of(session, node, target, flags, io, how.id or running.new_exec())
            return await running.exec_(front, spec, io, how.limit, options)
        working = node.exec(
            target.container,
            spec,
            id=how.id,
            wait=not how.detach,
            limit_s=how.limit,
            io=io,
            **options,
        )
        done = await or_posted(working, lane)
    return _tell(session, target, done, detach=how.detach)


def _tell(
    session: Session, target: Target, done: ExecValue | dict[str, Any], *, detach: bool
) -> int:
    if isinstance(done, dict):
        tell_made(session, str(target), done)
        return exitcodes.OK
    if session.output.json:
        session.output.document(done)
    elif detach:
        session.output.line(done.process)
    else:
        from wharfside_client.cli.at_end import show

        show(session, done.output)
    return exitcodes.OK if detach else exitcodes.of_exit(done.exit)
