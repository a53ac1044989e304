"""`checkpoint`, `checkpoints`, `restore`: a container's life kept, and gone on with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from wharfside_client.cli import checkpointfiles, checkpointprune, exitcodes, parse, words
from wharfside_client.cli.command import command
from wharfside_client.cli.help import Group
from wharfside_client.cli.lane import LaneFlags, or_posted, tell_made
from wharfside_client.cli.output import Column
from wharfside_client.cli.places import NodeOrTarget, OneTarget
from wharfside_client.cli.session import Session

if TYPE_CHECKING:
    from wharfside_client.cli.parse import Target
    from wharfside_protocol.checkpoints import CheckpointView, DeleteCheckpointValue
    from wharfside_protocol.node_commands import Progress

Name = Annotated[str, typer.Argument(parser=parse.name, metavar="CHECKPOINT", show_default=False)]
Incarnation = Annotated[
    str | None,
    typer.Option(
        "--incarnation", metavar="ULID", help="Of a container that is deleted", show_default=False
    ),
]

COLUMNS = (
    Column("CONTAINER", "bold", grows=True),
    Column("CHECKPOINT", "cyan", grows=True),
    Column("RUN", right=True),
    Column("TAKEN"),
    Column("SIZE", right=True),
    Column("FLAGS", grows=True),
    Column("INCARNATION"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenFlags:
    """What CRIU may take along."""

    exit: Annotated[
        bool, typer.Option("--exit", help="End the container with it, instead of going on")
    ] = False
    tcp: Annotated[bool, typer.Option("--tcp", help="Take established connections along")] = False
    unix_sockets: Annotated[
        bool, typer.Option("--unix-sockets", help="Take Unix sockets to outside along")
    ] = False
    shell: Annotated[bool, typer.Option("--shell", help="Take a terminal's session along")] = False
    file_locks: Annotated[bool, typer.Option("--file-locks", help="Take file locks along")] = False
    pre_dump: Annotated[
        bool, typer.Option("--pre-dump", help="Write most of the memory while it still runs")
    ] = False


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        cls=Group,
        no_args_is_help=True,
        help="Take checkpoints of running containers, and remove them.",
    )
    for name, body in (("create", create), ("ls", ls), ("rm", rm)):
        command(group, name)(body)
    checkpointprune.register(group)
    checkpointfiles.register(group)
    app.add_typer(group, name="checkpoint")
    command(app, "checkpoints")(ls)
    command(app, "restore")(restore)


async def create(
    session: Session, target: OneTarget, name: Name, flags: TakenFlags, lane: LaneFlags
) -> int:
    """Keep the life of a running container under a new name.

    It is undone, and the container goes on, when --timeout (10 minutes) passes.
    """
    from wharfside_client.calls import new_command_id

    command_id = new_command_id()
    options = lane.options(session)
    options["command_id"] = command_id
    async with session.connect() as w, w.progress(target.node, command_id, _telling(session)):
        node = w.node(target.node)
        working = node.checkpoint(target.container, name, **asdict(flags), **options)
        value = await or_posted(working, lane)
    if session.output.json or isinstance(value, dict):
        tell_made(session, str(target), value)
    else:
        stood = words.span(value.frozen_us / 1e6)
        size = words.size(value.checkpoint.bytes)
        session.output.line(f"{target} {name} {size}, stood still for {stood}")
    return exitcodes.OK


async def ls(session: Session, place: NodeOrTarget, incarnation: Incarnation = None) -> int:
    """List the checkpoints of a node, or of one container, oldest first."""
    node, _, container = place.partition("/")
    async with session.connect() as w:
        value = await w.node(node).checkpoints(
            container or None, incarnation=incarnation, **session.options
        )
    if session.output.json:
        session.output.document(value)
        return exitcodes.OK
    session.output.table(COLUMNS, [_row(each) for each in value.checkpoints])
    for each in value.checkpoints:
        if each.broken is not None:
            session.output.warn(f"{each.checkpoint} of {each.incarnation}: {each.broken}")
    return exitcodes.OK


async def rm(
    session: Session,
    target: OneTarget,
    names: Annotated[
        list[str],
        typer.Argument(parser=parse.name, metavar="CHECKPOINT...", show_default=False),
    ],
    incarnation: Incarnation = None,
) -> int:
    """Remove checkpoints of a container."""
    async with session.connect() as w:
        node = w.node(target.node)
        values = [
            await node.delete_checkpoint(
                target.container, name, incarnation=incarnation, **session.options
            )
            for name in names
        ]
    if session.output.json:
        session.output.document(values)
    else:
        for value in values:
            _tell_deleted(session, target, value)
    return exitcodes.OK if all(value.deleted for value in values) else exitcodes.REFUSED


def _tell_deleted(session: Session, target: Target, value: DeleteCheckpointValue) -> None:
    if value.deleted:
        session.output.line(f"{target} {value.checkpoint}")
    else:
        session.output.warn(f"{target} has no checkpoint {value.checkpoint}")


async def restore(
    session: Session,
    target: OneTarget,
    name: Name,
    lane: LaneFlags,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            parser=parse.name,
            metavar="CONTAINER",
            help="Make a new container of this one's checkpoint",
            show_default=False,
        ),
    ] = None,
    incarnation: Incarnation = None,
) -> int:
    """Go on from a checkpoint: a stopped container in place, or with --from a new one."""
    from wharfside_client.calls import new_command_id

    command_id = new_command_id()
    options = lane.options(session)
    options["command_id"] = command_id
    async with session.connect() as w, w.progress(target.node, command_id, _telling(session)):
        node = w.node(target.node)
        working = node.restore(
            target.container, name, source=source, incarnation=incarnation, **options
        )
        value = await or_posted(working, lane)
    if session.output.json or isinstance(value, dict):
        tell_made(session, str(target), value)
    else:
        session.output.line(f"{target} run {value.run}, pid {value.pid}")
    return exitcodes.OK


def _telling(session: Session) -> Callable[[Progress], None]:
    """Each phase as it begins, for people."""
    told: list[str] = []

    def tell(progress: Progress) -> None:
        phase = str(progress.phase or "")
        if session.output.terminal and phase and told[-1:] != [phase]:
            told.append(phase)
            session.output.warn(phase)

    return tell


def _row(view: CheckpointView) -> Sequence[str]:
    flags = ("exit", "tcp", "unix_sockets", "shell", "file_locks", "pre_dump")
    given = " ".join(name.replace("_", "-") for name in flags if getattr(view, name))
    return (
        view.container or "-",
        view.checkpoint,
        "-" if view.run is None else str(view.run),
        (view.timestamp or "-")[:19].replace("T", " "),
        words.size(view.bytes),
        _wrong(view) or given or "-",
        view.incarnation,
    )


def _wrong(view: CheckpointView) -> str:
    """Nothing with one that can be restored here."""
    if view.other_format is not None:
        return f"FORMAT {view.other_format}"
    return "" if view.broken is None else "BROKEN"
