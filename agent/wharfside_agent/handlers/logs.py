"""logs: what a process has printed, from the log on the node's disk, in a session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from wharfside_agent.handlers.node import Node
from wharfside_agent.ports.io import Carried
from wharfside_agent.ports.logs import LogWish
from wharfside_agent.services.commands.call import Call
from wharfside_agent.services.life.live import Live
from wharfside_agent.services.streams.output import LoggedProcess, Place, RunsSource
from wharfside_agent.services.views import standing
from wharfside_protocol.errors import Invalid, NotFound
from wharfside_protocol.io_commands import LogsArgs, SessionValue
from wharfside_protocol.times import NANOSECONDS, from_timestamp, to_timestamp

LATE_S = 0.2
"""So long after its time a line may come into the log."""


async def logs(node: Node, call: Call, args: LogsArgs) -> SessionValue:
    live = _living(node, args)
    process = LoggedProcess(
        live, args.process, node.logs, node.store, node.containers, node.restarts
    )
    wish = LogWish(
        until=None if args.until is None else _nine_digits(args.until),
        follow=args.follow,
        stdout=args.stdout,
        stderr=args.stderr,
        times=args.times,
    )

    async def make() -> Carried:
        places = _begun(process, _places(process, args), args)
        if args.tail is not None:
            places = await _last(process, places, args.tail, wish)
        return Carried(RunsSource(process, places, wish, args.run, _left_s(node, args)))

    session = await node.sessions.open(args.open, call.id, make, looks=True)
    return SessionValue(**standing(live.row), process=args.process, session=session.view)


def _living(node: Node, args: LogsArgs) -> Live:
    live = node.containers.find(args.container)
    if args.incarnation not in (None, live.row.incarnation):
        raise NotFound(
            f"{args.container} is {live.row.incarnation} now: logs go with their container",
            incarnation=live.row.incarnation,
        )
    return live


def _places(process: LoggedProcess, args: LogsArgs) -> list[Place]:
    """The beginnings of all runs that are wanted.

    Raises:
        NotFound: there is no such process, or no such run of it.
        Invalid: its log has no such position.
    """
    row, known = process.live.row, process.name in process.live.processes
    runs = list(process.logs.runs(row.incarnation, process.name))
    begun = not runs or process.has_begun(row.run)  # else the one before is still to be followed
    if known and row.run not in runs and begun:
        runs.append(row.run)
    if not runs:
        raise NotFound(f"{row.name} has no process {process.name}, and no log of one")
    wanted = [run for run in runs if args.run in (None, run)]
    if args.position is None:
        if not wanted:
            raise NotFound(f"{row.name}/{process.name} has no log of run {args.run}", runs=runs)
        return [Place(run) for run in wanted]
    behind = args.position
    if behind.run not in wanted:
        raise Invalid(f"position: {row.name}/{process.name} has no log of run {behind.run}")
    later = [Place(run) for run in wanted if run > behind.run]
    end = process.logs.end(process.log(behind.run))
    if behind.offset > end:
        raise Invalid(f"position: the log of run {behind.run} has {end} bytes so far", end=end)
    return [Place(behind.run, behind.offset), *later]


def _begun(process: LoggedProcess, places: list[Place], args: LogsArgs) -> list[Place]:
    """Not before `since`."""
    if args.since is None:
        return places
    since = _nine_digits(args.since)
    return [
        Place(place.run, max(place.offset, process.logs.since(process.log(place.run), since)))
        for place in places
    ]


async def _last(
    process: LoggedProcess, places: Sequence[Place], lines: int, wish: LogWish
) -> list[Place]:
    """The places where the last `lines` of all of them begin."""
    kept: list[Place] = []
    for place in reversed(places):
        within = replace(wish, offset=place.offset)
        tail = await process.logs.tail(process.log(place.run), lines, within)
        kept.insert(0, Place(place.run, tail.offset))
        lines -= tail.lines
        if lines == 0:
            break
    return kept


def _left_s(node: Node, args: LogsArgs) -> float | None:
    """So long a line of `until`, or one before it, may still come."""
    if args.until is None:
        return None
    return max(from_timestamp(args.until) - node.clock.now(), 0) / NANOSECONDS + LATE_S


def _nine_digits(time: str) -> str:
    """As the lines of a log have it, so that such texts compare as times do."""
    return to_timestamp(from_timestamp(time))
