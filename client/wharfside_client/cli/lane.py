"""Over which lane a command goes; one that is only posted is a success, told by its id."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from wharfside_client.cli.ioflags import TtyFlags
from wharfside_client.cli.session import Session

if TYPE_CHECKING:
    from wharfside_client.calls import Options

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneFlags:
    """Over which lane: what all changing commands share."""

    durable: Annotated[
        bool,
        typer.Option("--durable", help="By the node's mailbox: kept while the node is away"),
    ] = False
    no_wait: Annotated[
        bool,
        typer.Option("--no-wait", help="As --durable; print name and command id at once"),
    ] = False

    def options(self, session: Session) -> Options:
        """Call options, with those that all commands share."""
        options: Options = {**session.options}
        if self.durable or self.no_wait:
            options["durable"] = True
            options["following"] = session.following
        if self.no_wait:
            options["timeout_s"] = 0.0
        return options


def told_at_its_end(session: Session, streams: TtyFlags, lane: LaneFlags, *, detach: bool) -> bool:
    """What a process prints comes with its exit, and not as it is printed.

    Raises:
        typer.BadParameter: so nobody could type into it.
    """
    at_its_end = session.output.json or lane.durable or lane.no_wait
    if streams.any and at_its_end and not detach:
        raise typer.BadParameter("-i and -t need a session: leave out --durable and --json, or -d")
    return at_its_end


async def or_posted(working: Awaitable[T], lane: LaneFlags) -> T | dict[str, Any]:
    """The value, or with --no-wait `{"command": id}`."""
    from wharfside_client.errors import Pending

    try:
        return await working
    except Pending as pending:
        if not lane.no_wait:
            raise
        return {"command": pending.details["command"]}


def tell_made(session: Session, name: str, made: object) -> None:
    """A container by its name; what is only posted with the command's id behind it."""
    if session.output.json:
        session.output.document(made)
    elif isinstance(made, dict):
        session.output.line(f"{name} {made['command']}")
    else:
        session.output.line(name)
