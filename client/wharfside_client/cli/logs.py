"""`logs`: what a process has printed, and with -f what it prints."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wharfside_client.cli import parse
from wharfside_client.cli.attach import Process
from wharfside_client.cli.command import command
from wharfside_client.cli.places import OneTarget
from wharfside_client.cli.session import Session

if TYPE_CHECKING:
    from wharfside_client.session import Session as Remote


@dataclass(frozen=True, slots=True, kw_only=True)
class LogsFlags:
    """Which output, and how it is shown."""

    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on as it prints, until its end")
    ] = False
    since: Annotated[
        Any,
        typer.Option(
            "--since", parser=parse.moment, metavar="TIME", help="10m ago, or an RFC 3339 time"
        ),
    ] = None
    until: Annotated[
        Any, typer.Option("--until", parser=parse.moment, metavar="TIME", help="As --since")
    ] = None
    tail: Annotated[
        Any,
        typer.Option("--tail", "-n", parser=parse.tail, metavar="LINES", help="The last so many"),
    ] = "all"
    timestamps: Annotated[
        bool, typer.Option("--timestamps", "-t", help="Its time before each line")
    ] = False
    process: Process = "init"
    run: Annotated[
        int | None, typer.Option("--run", min=1, metavar="NUMBER", help="Of this run alone")
    ] = None

    def arguments(self, container: str, *, times: bool) -> dict[str, Any]:
        """Of the op; what is not given is left to its defaults."""
        given = {key: value for key, value in asdict(self).items() if value is not None}
        del given["timestamps"]
        return {**given, "container": container, "times": times}


def register(app: typer.Typer) -> None:
    command(app, "logs")(logs)


async def logs(session: Session, target: OneTarget, which: LogsFlags) -> None:
    """Print what a process wrote, stdout to stdout and stderr to stderr, of all kept runs.

    With --json, an object a line: {time, stream, text, position}. What was dropped is told
    on stderr, with --json as {lost, position}.
    """
    as_objects = session.output.json
    given = which.arguments(target.container, times=which.timestamps or as_objects)
    async with (
        session.connect() as w,
        w.node(target.node).session("logs", given, resume=True, **session.options) as remote,
    ):
        if as_objects:
            await _as_objects(session, remote)
        else:
            await _as_it_was(remote, timestamps=which.timestamps)


async def _as_objects(session: Session, remote: Remote) -> None:
    from wharfside_client.cli.loglines import Objects
    from wharfside_protocol.io_frames import Chunk, Lost

    objects, known = Objects(), None
    async for item in remote:
        told: list[dict[str, Any]] = []
        if isinstance(item, Chunk):
            # it stays what it was until the last chunk of a frame has come
            position = remote.position if remote.position != known else None
            known, told = remote.position, objects.of(item, position)
        elif isinstance(item, Lost):
            told = objects.lost(item)
        for each in told:
            session.output.json_line(each)
    for each in objects.rest(remote.position):
        session.output.json_line(each)


async def _as_it_was(remote: Remote, *, timestamps: bool) -> None:
    from wharfside_client.cli.descriptors import Output
    from wharfside_client.cli.loglines import Stamped, marker
    from wharfside_protocol.io_frames import Chunk, Lost, StreamName

    stamped = Stamped()
    with ExitStack() as stack:
        outputs = {
            stream: stack.enter_context(closing(Output(fd)))
            for stream, fd in ((StreamName.STDOUT, 1), (StreamName.STDERR, 2))
        }
        async for item in remote:
            if isinstance(item, Chunk):
                await outputs[item.stream].write(stamped.text(item) if timestamps else item.data)
            elif isinstance(item, Lost):
                await outputs[StreamName.STDERR].write(marker(item.count))
