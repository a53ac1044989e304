"""`top` as an operator types it."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wharfside_client.cli import asking, exitcodes, parse
from wharfside_client.cli.command import command
from wharfside_client.cli.flags import FleetFlags
from wharfside_client.cli.session import Session

if TYPE_CHECKING:
    from wharfside_client.cli.top.board import Look

DEFAULT_INTERVAL_S = 2.0
ONCE_S = 1.0
"""Between the two samples of a table that is printed once."""
LEAST_INTERVAL_S = 0.5
SORTS = "name, cpu, memory, pids, psi, run, state, age, event"


def register(app: typer.Typer) -> None:
    command(app, "top")(top)


async def top(
    session: Session,
    of: FleetFlags,
    sort: Annotated[
        Any, typer.Option("--sort", parser=parse.top_sort, metavar="COLUMN", help=SORTS)
    ] = None,
    filter: Annotated[
        str, typer.Option("--filter", metavar="WORDS", help="Part of a name, NODE/, KEY=VALUE")
    ] = "",
    interval: Annotated[
        Any,
        typer.Option(
            "--interval", "-i", parser=parse.duration, metavar="TIME", help="Between figures: 2s"
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Print it once, as in a pipe")] = False,
) -> int:
    """What the whole fleet uses now: nodes and containers, live.

    Figures are asked for, and only those that are shown or sorted by; all else is told by
    the bus. In a pipe and with --json: one table, of two samples a second apart. Exit status
    125 then: a node that is named does not answer.
    """
    from wharfside_client.cli.top.board import Look, Sort

    output = session.output
    live = output.terminal and not (once or output.json)
    if live and find_spec("textual") is None:
        output.warn("the live table needs textual: pip install 'wharfside[top]'")
        live = False
    look = Look(sort=Sort(sort or (Sort.CPU if live else Sort.NAME)), filter=filter, all=of.all)
    interval_s = max(interval or (DEFAULT_INTERVAL_S if live else ONCE_S), LEAST_INTERVAL_S)
    return await _show(session, of, look, interval_s, live=live)


async def _show(
    session: Session, of: FleetFlags, look: Look, interval_s: float, *, live: bool
) -> int:
    import asyncio

    from wharfside_client.cli.top import plain
    from wharfside_client.cli.top.feed import Feed

    async with session.connect() as w, w.watch(nodes=of.named, labels=of.labels) as watch:
        await anext(watch)
        feed = Feed(w, watch, interval_s, named=of.named or ())
        if live:
            from wharfside_client.cli.top.view import show

            await show(feed, look, interval_s, no_color=not session.output.color)
            return exitcodes.OK
        for wait_s in (interval_s, 0.0):
            await feed.sample(feed.board(look).rows)
            await asyncio.sleep(wait_s)
        plain.tell(session, feed.board(look), feed)
    return asking.status(of.named, feed.missing)
