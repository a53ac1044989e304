"""`ps`: what runs, on every node, and with -w how that changes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from wharfside_client.cli import asking, exitcodes
from wharfside_client.cli.command import command
from wharfside_client.cli.flags import FleetFlags, NoTrunc
from wharfside_client.cli.output import Column
from wharfside_client.cli.session import Session
from wharfside_client.cli.words import age, exit_words, state_words

if TYPE_CHECKING:
    from wharfside_client.fleet import Answers
    from wharfside_protocol.views import ContainerView

COLUMNS = (
    Column("CONTAINER", "bold", grows=True),
    Column("STATE", "cyan"),
    Column("EXIT"),
    Column("AGE", right=True),
    Column("PID", right=True),
    Column("COMMAND", grows=True),
)


def register(app: typer.Typer) -> None:
    command(app, "ps")(ps)


async def ps(
    session: Session,
    of: FleetFlags,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="From the bus, and go on with every change")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Names alone, for $(...)")] = False,
    no_trunc: NoTrunc = False,
) -> int:
    """List containers over the whole fleet.

    Exit status 125: a node that is named does not answer. With --watch --json, one object a
    line: first the whole state, then each change.
    """
    if quiet and (watch or session.output.json):
        raise typer.BadParameter("-q prints a list of names: without --watch and --json")
    if watch:
        await _watch(session, of)
        return exitcodes.OK
    timeout_s = asking.patience_s(session)
    async with session.connect() as w:
        answers = await w.ask(
            lambda node: node.list(all=of.all, labels=of.labels, timeout_s=timeout_s), of.named
        )
    status = asking.status(of.named, answers.missing)
    if session.output.json:
        session.output.document(_document(answers))
        return status
    found = [(node, view) for node, views in sorted(answers.values.items()) for view in views]
    if quiet:
        for node, view in found:
            session.output.line(f"{node}/{view.container}")
    else:
        session.output.table(COLUMNS, [_row(*each) for each in found], whole=no_trunc)
    asking.tell_missing(session, answers.missing)
    return status


async def _watch(session: Session, of: FleetFlags) -> None:
    from wharfside_client.cli.watchlines import WatchLines, as_object

    lines = WatchLines(session.output, all=of.all)
    async with session.connect() as w, w.watch(nodes=of.named, labels=of.labels) as told:
        async for change in told:
            if session.output.json:
                session.output.json_line(as_object(change))
            else:
                lines.tell(change)


def _row(node: str, view: ContainerView) -> list[str]:
    state = state_words(view)
    since = view.exit.exited_at if view.exit else view.started_at or view.created_at
    return [
        f"{node}/{view.container}",
        f"{state} (oom)" if view.oom_kills and view.exit is None else state,
        exit_words(view.exit),
        age(since, time.time_ns()),
        str(view.pid or "-"),
        " ".join(view.command),
    ]


def _document(answers: Answers[list[ContainerView]]) -> dict[str, object]:
    from wharfside_client.cli.plain import to_json

    return {
        "containers": [
            {"node": node, **to_json(view)}
            for node, views in sorted(answers.values.items())
            for view in views
        ],
        "unanswered": asking.unanswered(answers.missing),
    }
