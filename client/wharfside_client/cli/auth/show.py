"""`auth show`: who there is, and what each may do."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wharfside_client.cli import parse
from wharfside_client.cli.auth.place import Dir, folder_of
from wharfside_client.cli.output import Column
from wharfside_client.cli.session import Session

if TYPE_CHECKING:
    from wharfside_client.auth.shown import ShownUser

USERS = (
    Column("NAME", "bold"),
    Column("ROLE", "cyan"),
    Column("MAY", grows=True),
    Column("EXPIRES"),
    Column("KEY", grows=True),
)
RIGHTS = (Column("MAY", "cyan"), Column("SUBJECT", "bold", grows=True))


async def show(
    session: Session,
    name: Annotated[
        Any,
        typer.Argument(
            parser=parse.name, metavar="[NAME]", help="All its subjects", show_default=False
        ),
    ] = None,
    folder: Dir = None,
) -> None:
    """Show who may do what; with a name, every subject that it may use."""
    from wharfside_client.auth.shown import shown
    from wharfside_client.auth.state import load

    state = load(folder_of(folder))
    found = [user for user in shown(state) if name in (None, user.name)]
    if not found:
        state.user(name)
    if session.output.json:
        session.output.document(found if name is None else found[0])
    elif name is None:
        session.output.table(USERS, [_row(user) for user in found])
    else:
        session.output.table(RIGHTS, _rights(found[0]))


def _rights(user: ShownUser) -> list[tuple[str, str]]:
    told = [("publish", subject) for subject in user.publish]
    return told + [("subscribe", subject) for subject in user.subscribe]


def _row(user: ShownUser) -> tuple[str, ...]:
    if not user.keys:
        end = "revoked"
    elif user.expires is None:
        end = "never"
    else:
        end = f"{datetime.fromtimestamp(user.expires, UTC):%Y-%m-%d}"
    return (user.name, user.role, user.may, end, ", ".join(user.keys))
