"""`migrate` and `migrations`: a running container goes on on another node."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wharfside_client.cli import asking, complete, exitcodes, parse, words
from wharfside_client.cli.bars import byte_bar
from wharfside_client.cli.command import command
from wharfside_client.cli.output import Column
from wharfside_client.cli.session import Session

if TYPE_CHECKING:
    from wharfside_client.cli.parse import Place
    from wharfside_client.client import Wharfside
    from wharfside_protocol.errors import WharfsideError
    from wharfside_protocol.migration import MigrateValue, MigrationView
    from wharfside_protocol.node_commands import Progress

COLUMNS = [
    Column("MIGRATION", "bold"),
    Column("SIDE"),
    Column("CONTAINER", "cyan", grows=True),
    Column("PEER"),
    Column("STATE", grows=True),
    Column("CARRIED", right=True),
    Column("BEGUN"),
]

Where = Annotated[
    Any,
    typer.Argument(
        parser=parse.place,
        metavar="NODE/CONTAINER",
        show_default=False,
        autocompletion=complete.targets,
    ),
]
Nodes = Annotated[
    list[str],
    typer.Argument(parser=parse.name, metavar="NODE", autocompletion=complete.nodes),
]

Node = Annotated[
    str | None,
    typer.Argument(
        parser=parse.name, metavar="NODE", show_default=False, autocompletion=complete.nodes
    ),
]
Name = Annotated[
    str | None, typer.Option("--name", parser=parse.name, help="What it is called there")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenFlags:
    """What CRIU may take along."""

    tcp: Annotated[
        bool, typer.Option("--tcp", help="With established connections, where addresses allow")
    ] = False
    unix_sockets: Annotated[
        bool, typer.Option("--unix-sockets", help="With sockets whose other end is outside")
    ] = False
    shell: Annotated[bool, typer.Option("--shell", help="With a terminal's session")] = False
    file_locks: Annotated[bool, typer.Option("--file-locks", help="With locks on files")] = False
    pre_dump: Annotated[
        bool, typer.Option("--pre-dump", help="Write memory while it still runs, first")
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GivingUpFlags:
    """Of one that is under way."""

    abort: Annotated[
        str | None,
        typer.Option("--abort", parser=parse.command_id, metavar="ID", help="Give one up, on NODE"),
    ] = None
    dead: Annotated[
        bool,
        typer.Option(
            "--node-b-is-dead",
            help="With --abort: the target runs nothing of it and never will; bring it back",
        ),
    ] = False


def register(app: typer.Typer) -> None:
    command(app, "migrate")(migrate)
    command(app, "migrations")(migrations)


async def migrate(
    session: Session,
    source: Where,
    node: Node = None,
    *,
    name: Name = None,
    taken: TakenFlags,
    giving_up: GivingUpFlags,
) -> int:
    """Move a running container to another node: migrate node-a/web node-b.

    It goes on there from where it was, with its files, and is deleted here. Where it cannot be
    restored there, it goes on here. `migrate --abort ID node-a` gives one up.
    """
    if giving_up.abort is not None:
        return await _abort(session, source.node, giving_up.abort, dead=giving_up.dead)
    if source.container is None or node is None or giving_up.dead:
        raise typer.BadParameter("give NODE/CONTAINER, and the NODE that it moves to")
    if node == source.node:
        raise typer.BadParameter(
            f"{source.node}/{source.container} is there already: give another node"
        )
    value = await _moved(session, source, source.container, node, name, taken)
    if session.output.json:
        session.output.document(value)
    else:
        still_s = value.stood_still_us / 1_000_000
        carried = words.size(value.bytes)
        told = f"{carried} carried, stood still for {still_s:.2f} s"
        session.output.line(f"{value.target}/{value.name} goes on: {told}")
    return exitcodes.OK


async def _moved(
    session: Session, source: Place, container: str, node: str, name: str | None, taken: TakenFlags
) -> MigrateValue:
    from wharfside_client.calls import new_command_id
    from wharfside_client.migration import MIGRATE_S
    from wharfside_client.moving import move, new_migration

    migration, command_id = new_migration(), new_command_id()
    within_s = MIGRATE_S if session.flags.timeout is None else session.flags.timeout
    session.output.warn(f"{source.node}/{container}: migration {migration}")
    async with session.connect() as w, _told(session, w, source, command_id):
        return await move(
            w.node(source.node),
            container,
            w.node(node),
            name=name,
            migration=migration,
            timeout_s=within_s,
            command_id=command_id,
            **asdict(taken),
        )


@asynccontextmanager
async def _told(
    session: Session, w: Wharfside, source: Place, command_id: str
) -> AsyncIterator[None]:
    """What is done now, and bytes of bytes while it is carried."""
    quiet, no_color = session.output.json, session.output.no_color
    with byte_bar(str(source), quiet=quiet, no_color=no_color, transient=True) as bar:

        def tell(progress: Progress) -> None:
            size = progress.total or None
            bar(progress.total - progress.left, size, str(progress.phase))

        async with w.progress(source.node, command_id, tell):
            yield


async def _abort(session: Session, node: str, migration: str, *, dead: bool) -> int:
    async with session.connect() as w:
        view = await w.node(node).abort_migration(migration, target_is_dead=dead, **session.options)
    if session.output.json:
        session.output.document(view)
    else:
        session.output.line(f"{view.migration}: {view.state}")
    return exitcodes.OK


async def migrations(session: Session, nodes: Nodes) -> int:
    """What leaves nodes and comes to them, the unfinished first."""
    async with session.connect() as w:
        found, missing = await _asked(session, w, nodes)
    if nodes and len(missing) == len(set(nodes)):
        raise missing[nodes[0]]
    if session.output.json:
        session.output.document([view for _, view in found])
    else:
        session.output.table(COLUMNS, [_row(node, view) for node, view in found])
    asking.tell_missing(session, missing)
    return asking.status(nodes, missing)


async def _asked(
    session: Session, w: Wharfside, nodes: list[str]
) -> tuple[list[tuple[str, MigrationView]], dict[str, WharfsideError]]:
    """A node that is away is what makes somebody look: the others are told all the same."""
    from wharfside_client.errors import NodeUnreachable, Unanswered

    found: list[tuple[str, MigrationView]] = []
    missing: dict[str, WharfsideError] = {}
    for node in dict.fromkeys(nodes):
        try:
            value = await w.node(node).migrations(**session.options)
        except (NodeUnreachable, Unanswered) as error:
            missing[node] = error
        else:
            found += [(node, view) for view in value.migrations]
    return found, missing


def _row(node: str, view: MigrationView) -> list[str]:
    state = f"{view.state} (unknown: only {view.peer} can say)" if view.unknown else view.state
    carried = f"{words.size(view.bytes)} of {words.size(view.total)}" if view.total else "-"
    where = f"{node}/{view.container}"
    begun = view.begun_at[:19] + "Z"
    return [view.migration, view.side, where, view.peer, state, carried, begun]
