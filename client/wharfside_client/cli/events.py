"""`events`: what happened, and with -f what happens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wharfside_client.cli import complete, parse
from wharfside_client.cli.command import command
from wharfside_client.cli.session import Session

if TYPE_CHECKING:
    from wharfside_client.client import Wharfside
    from wharfside_client.history import EventFilter, StoredEvent

RECENT = "1h"


Where = Annotated[
    Any,
    typer.Argument(
        parser=parse.place,
        metavar="[NODE[/CONTAINER]]",
        help="All where left out",
        show_default=False,
        autocompletion=complete.places,
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsFlags:
    """Which events, and until when."""

    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as they happen")] = False
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="SEQ|TIME",
            help=f"After a sequence, or 10m ago, or an RFC 3339 time [{RECENT}; with -f: now]",
        ),
    ] = None
    type: Annotated[
        list[str] | None,
        typer.Option(
            "--type",
            metavar="TYPE",
            help="Only of these types",
            autocompletion=complete.event_types,
        ),
    ] = None
    live: Annotated[
        bool, typer.Option("--live", help="As they pass, from a server that stores none")
    ] = False

    @property
    def begin(self) -> int | str | None:
        """None: now."""
        if self.follow and not self.since:
            return None
        try:
            return parse.since(RECENT if self.since is None else self.since)
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--since") from error


def register(app: typer.Typer) -> None:
    command(app, "events")(events)


async def events(session: Session, of: Where = None, *, which: EventsFlags) -> None:
    """Tell the events of the fleet, stored ones and with -f those that come.

    With --json, one object a line; its `stream_seq` is what --since takes to go on from there.
    """
    from wharfside_client.cli.eventlines import EventLines
    from wharfside_client.cli.plain import to_json

    begin, wanted = which.begin, _filter(of, which.type)
    lines = EventLines(session.output)
    async with session.connect() as w, _found(w, which, begin, wanted) as found:
        async for seq, event in found:
            if which.type and event.type not in which.type:
                continue
            if session.output.json:
                session.output.json_line({"stream_seq": seq or None, **to_json(event)})
            else:
                lines.tell(event)


@asynccontextmanager
async def _found(
    w: Wharfside, which: EventsFlags, begin: int | str | None, wanted: EventFilter
) -> AsyncIterator[AsyncIterator[StoredEvent]]:
    if which.live:
        async with w.live_events(wanted=wanted) as passing:
            yield passing
    elif which.follow:
        async with w.events(begin, wanted=wanted) as coming:
            yield coming
    else:
        yield w.history(0 if begin is None else begin, wanted=wanted)


def _filter(of: parse.Place | None, types: list[str] | None) -> EventFilter:
    from wharfside_client.history import EventFilter
    from wharfside_protocol.events import EventType

    for name in types or ():
        if name not in set(EventType):
            known = ", ".join(EventType)
            raise typer.BadParameter(f"no event type {name!r}; there are: {known}")
    return EventFilter(
        node=of.node if of else "*",
        container=(of.container if of else None) or "*",
        type=types[0] if types and len(types) == 1 else "*",
    )
