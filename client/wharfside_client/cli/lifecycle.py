"""`start`, `stop`, `restart`, `kill`, `pause`, `resume`, `wait`, `rm`: a container's life."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from wharfside_client.cli import parse
from wharfside_client.cli.command import command
from wharfside_client.cli.flags import LimitFlags
from wharfside_client.cli.ioflags import AttachFlags
from wharfside_client.cli.lane import LaneFlags
from wharfside_client.cli.places import Targets
from wharfside_client.cli.session import Session
from wharfside_client.cli.specs import make_limits
from wharfside_client.cli.targets import each
from wharfside_client.cli.words import exit_words

if TYPE_CHECKING:
    from wharfside_client.cli.parse import Target
    from wharfside_client.node import Node
    from wharfside_protocol.commands import StateValue, WaitValue


Grace = Annotated[
    float | None,
    typer.Option(
        "--time", "-t", parser=parse.duration, metavar="TIME", help="Grace before KILL: 10s"
    ),
]


def register(app: typer.Typer) -> None:
    command(app, "start", runs=True)(start)
    for name, body in (
        ("stop", stop),
        ("restart", restart),
        ("kill", kill),
        ("pause", pause),
        ("resume", resume),
        ("update", update),
        ("wait", wait),
        ("rm", rm),
    ):
        command(app, name)(body)


async def start(
    session: Session,
    targets: Targets,
    lane: LaneFlags,
    attach: Annotated[
        bool, typer.Option("--attach", "-a", help="Pass its output on, and exit as it does")
    ] = False,
    interactive: Annotated[
        bool, typer.Option("--interactive", "-i", help="As --attach, and pass our stdin on")
    ] = False,
    *,
    flags: AttachFlags,
) -> int:
    """Start created containers, or stopped ones once more."""
    options = lane.options(session)
    if attach or interactive:
        if len(targets) > 1 or session.output.json or lane.durable or lane.no_wait:
            raise typer.BadParameter(
                "-a and -i are for one container, and not with --durable, --no-wait and --json"
            )
        from wharfside_client.cli import starting

        (target,) = targets
        async with session.connect() as w:
            node = w.node(target.node)
            return await starting.start(session, node, target, flags, options, stdin=interactive)
    return await each(session, targets, lambda node, c: node.start(c, **options), lane=lane)


async def stop(
    session: Session,
    targets: Targets,
    lane: LaneFlags,
    grace: Grace = None,
    signal: Annotated[str | None, typer.Option("--signal", "-s", metavar="SIGNAL")] = None,
) -> int:
    """Stop containers: their signal, the grace, then KILL."""
    options = lane.options(session)
    return await each(
        session,
        targets,
        lambda node, c: node.stop(c, signal=signal, grace_s=grace, **options),
        lane=lane,
    )


async def restart(session: Session, targets: Targets, grace: Grace = None) -> int:
    """Stop containers as `stop` does, and start them again; start those that are stopped."""
    options = session.options

    async def again(node: Node, container: str) -> StateValue:
        await node.stop(container, grace_s=grace, **options)
        return await node.start(container, **options)

    return await each(session, targets, again)


async def kill(
    session: Session,
    targets: Targets,
    lane: LaneFlags,
    signal: Annotated[str, typer.Option("--signal", "-s", metavar="SIGNAL")] = "KILL",
    process: Annotated[str, typer.Option("--process", metavar="ID", help="An exec's")] = "init",
) -> int:
    """Send a signal, KILL where none is named."""
    options = lane.options(session)
    return await each(
        session,
        targets,
        lambda node, c: node.signal(c, signal.upper(), process=process, **options),
        lane=lane,
    )


async def pause(session: Session, targets: Targets, lane: LaneFlags) -> int:
    """Freeze containers."""
    options = lane.options(session)
    return await each(session, targets, lambda node, c: node.pause(c, **options), lane=lane)


async def resume(session: Session, targets: Targets, lane: LaneFlags) -> int:
    """Thaw paused containers."""
    options = lane.options(session)
    return await each(session, targets, lambda node, c: node.resume(c, **options), lane=lane)


async def update(session: Session, targets: Targets, flags: LimitFlags, lane: LaneFlags) -> int:
    """Change limits of running containers."""
    limits = make_limits(flags)
    if limits is None:
        raise typer.BadParameter("name a limit to change, such as --memory 64m")
    options = lane.options(session)
    return await each(
        session, targets, lambda node, c: node.update(c, limits, **options), lane=lane
    )


async def wait(
    session: Session,
    targets: Targets,
    run: Annotated[
        int | None,
        typer.Option(
            "--run", min=1, metavar="NUMBER", help="An older run's end", show_default=False
        ),
    ] = None,
) -> int:
    """Wait for the end of containers' present runs, and print their exit codes."""

    def tell(target: Target, value: WaitValue) -> str:
        return exit_words(value.exit) if len(targets) == 1 else f"{target} {exit_words(value.exit)}"

    return await each(
        session,
        targets,
        lambda node, c: node.wait(c, run=run, timeout_s=session.flags.timeout),
        tell,
    )


async def rm(
    session: Session,
    targets: Targets,
    lane: LaneFlags,
    force: Annotated[bool, typer.Option("--force", "-f", help="Kill what still runs")] = False,
) -> int:
    """Delete containers.

    With -f one that is not there is told, and is no failure.
    """
    from wharfside_protocol.errors import NotFound

    options = lane.options(session)
    return await each(
        session,
        targets,
        lambda node, c: node.delete(c, force=force, **options),
        lane=lane,
        forgiven=(NotFound,) if force else (),
    )
