"""`events`: what happened, and with -f what happens."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wharfside_client.cli import complete, parse
from wharfside_client.cli.command import command
from wharfside_client.cli.session import Session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from wharfside_client.history import EventFilter, StoredEvent

RECENT = "1h"


def register(app: typer.Typer) -> None:
    command(app, "events")(events)


async def events(
    session: Session,
    of: Annotated[
        Any,
        typer.Argument(
            parser=parse.place,
            metavar="[NODE[/CONTAINER]]",
            help="All where left out",
            show_default=False,
            autocompletion=complete.places,
        ),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as they happen")] = False,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="SEQ|TIME",
            help=f"After a sequence, or 10m ago, or an RFC 3339 time [{RECENT}; with -f: now]",
        ),
    ] = None,
    type: Annotated[
        list[str] | None,
        typer.Option(
            "--type",
            metavar="TYPE",
            help="Only of these types",
            autocompletion=complete.event_types,
        ),
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="As they pass, from a server that stores none")
    ] = False,
) -> None:
    """Tell the events of the fleet, stored ones and with -f those that come.

    With --json, one object a line; its `seq` is what --since takes to go on from there.
    """
    from wharfside_client.cli.eventlines import EventLines
    from wharfside_client.cli.plain import to_json

    begin = _since(since, follow=follow)
    wanted = _filter(of, type)
    lines = EventLines(session.output)
    async with session.connect() as w, AsyncExitStack() as stack:
        found: AsyncIterator[StoredEvent]
        if live:
            found = await stack.enter_async_context(w.live_events(wanted=wanted))
        elif follow:
            found = await stack.enter_async_context(w.events(begin, wanted=wanted))
        else:
            found = w.history(0 if begin is None else begin, wanted=wanted)
        async for seq, event in found:
            if type and event.type not in type:
                continue
            if session.output.json:
                session.output.json_line({"seq": seq, **to_json(event)})
            else:
                lines.tell(event)


def _since(text: str | None, *, follow: bool) -> int | str | None:
    try:
        return parse.since(RECENT if text is None else text) if text or not follow else None
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--since") from error


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
