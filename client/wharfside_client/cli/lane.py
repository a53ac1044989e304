"""`--no-wait`: a command that is posted and not yet done is a success, told by its id."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, TypeVar

from wharfside_client.cli.flags import LaneFlags
from wharfside_client.cli.session import Session

T = TypeVar("T")


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
