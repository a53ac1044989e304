"""`stats`: what containers use: all that run, in short, or the named ones in full."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from wharfside_client.cli import asking, parse, words
from wharfside_client.cli.command import command
from wharfside_client.cli.flags import NoTrunc
from wharfside_client.cli.output import Column
from wharfside_client.cli.parse import Target
from wharfside_client.cli.places import PlacesOrAll
from wharfside_client.cli.session import Session
from wharfside_client.cli.targets import ask_each, tell_json

if TYPE_CHECKING:
    from wharfside_client.fleet import Answers
    from wharfside_protocol.commands import StatsValue
    from wharfside_protocol.node_commands import ContainerUsage, UsageValue

APART_S = 1.0
"""Between the two samples of what all that run use."""
NAMED_COLUMNS = (
    Column("CONTAINER", "bold", grows=True),
    Column("CPU TIME", right=True),
    Column("MEMORY", right=True),
    Column("LIMIT", right=True),
    Column("PEAK", right=True),
    Column("PIDS", right=True),
    Column("READ", right=True),
    Column("WRITTEN", right=True),
)
RUNNING_COLUMNS = (
    Column("CONTAINER", "bold", grows=True),
    Column("CPU %", right=True),
    Column("CPU TIME", right=True),
    Column("MEMORY", right=True),
    Column("LIMIT", right=True),
    Column("MEM %", right=True),
    Column("PIDS", right=True),
)


class Used(NamedTuple):
    """By a container that runs. `cpu_percent`: of one CPU; None for one that has just begun."""

    node: str
    told: ContainerUsage
    cpu_percent: float | None


def register(app: typer.Typer) -> None:
    command(app, "stats")(stats)


async def stats(
    session: Session,
    places: PlacesOrAll = None,
    label: Annotated[
        list[Any] | None,
        typer.Option("--label", "-l", parser=parse.label, metavar="KEY=VALUE"),
    ] = None,
    no_trunc: NoTrunc = False,
) -> int:
    """What containers use now; all that run, where none is named.

    NODE stands for all that run there. They are told in short, from two samples a second
    apart; `top` goes on with that. Exit status 125: a node that is named does not answer.
    """
    nodes = [place.node for place in places or () if place.container is None]
    targets = [Target(*place) for place in places or () if place.container is not None]
    if targets and nodes:
        raise typer.BadParameter("name nodes or containers: each has a table of its own")
    if targets and label:
        raise typer.BadParameter("-l chooses among all that run: leave it out, or the containers")
    if targets:
        return await _of_named(session, targets, whole=no_trunc)
    return await _of_running(session, nodes or None, dict(label or ()), whole=no_trunc)


async def _of_named(session: Session, targets: Sequence[Target], *, whole: bool) -> int:
    outcomes = await ask_each(session, targets, lambda node, c: node.stats(c, **session.options))
    if session.output.json:
        return tell_json(session, outcomes)
    rows = [_named_row(target, value) for target, value in outcomes.found]
    session.output.table(NAMED_COLUMNS, rows, whole=whole)
    return outcomes.tell_failures(session)


async def _of_running(
    session: Session, nodes: list[str] | None, labels: dict[str, str], *, whole: bool
) -> int:
    first, second = await _samples(session, nodes, labels)
    missing = {**first.missing, **second.missing}
    found = compared(first.values, second.values)
    if session.output.json:
        session.output.document(_document(found, missing))
    else:
        session.output.table(RUNNING_COLUMNS, [_running_row(used) for used in found], whole=whole)
        asking.tell_missing(session, missing)
    return asking.status(nodes, missing)


async def _samples(
    session: Session, nodes: list[str] | None, labels: dict[str, str]
) -> tuple[Answers[UsageValue], Answers[UsageValue]]:
    """Of all nodes, and then once more of those that answered."""
    import asyncio

    timeout_s = asking.patience_s(session)
    async with session.connect() as w:

        async def ask(of: list[str] | None) -> Answers[UsageValue]:
            return await w.ask(lambda node: node.usage(labels=labels, timeout_s=timeout_s), of)

        first = await ask(nodes)
        if any(value.containers for value in first.values.values()):
            await asyncio.sleep(APART_S)
        return first, await ask(list(first.values))


def compared(first: dict[str, UsageValue], second: dict[str, UsageValue]) -> list[Used]:
    """What the second sample tells, with the CPU that each life has had since the first. Pure."""
    from wharfside_client.cli.top.figures import cpu_percent

    def life(node: str, each: ContainerUsage) -> tuple[str, str, int]:
        return node, each.incarnation, each.run

    before = {
        life(node, each): each.usage for node, value in first.items() for each in value.containers
    }
    found: list[Used] = []
    for node, value in sorted(second.items()):
        for each in value.containers:
            was = before.get(life(node, each))
            percent = None if was is None else cpu_percent(was, each.usage)
            found.append(Used(node, each, percent))
    return found


def _named_row(target: Target, value: StatsValue) -> Sequence[str]:
    s = value.stats
    memory, pids = s.memory, s.pids
    return (
        str(target),
        words.span(s.cpu.usage_us / 1e6) if s.cpu else "-",
        words.size(memory.usage_bytes if memory else None),
        words.size(memory.limit_bytes if memory else None),
        words.size(memory.peak_bytes if memory else None),
        str(pids.current) if pids else "-",
        words.size(sum(device.read_bytes for device in s.io)),
        words.size(sum(device.written_bytes for device in s.io)),
    )


def _running_row(used: Used) -> Sequence[str]:
    usage = used.told.usage
    memory, limit = usage.memory_bytes, usage.memory_limit_bytes
    return (
        f"{used.node}/{used.told.container}",
        _percent(used.cpu_percent),
        "-" if usage.cpu_us is None else words.span(usage.cpu_us / 1e6),
        words.size(memory),
        words.size(limit),
        _percent(None if memory is None or not limit else 100 * memory / limit),
        "-" if usage.pids is None else str(usage.pids),
    )


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _document(found: Sequence[Used], missing: asking.Missing) -> dict[str, object]:
    from wharfside_client.cli.plain import to_json

    return {
        "containers": [
            {
                "node": used.node,
                **to_json(used.told),
                "cpu_percent": None if used.cpu_percent is None else round(used.cpu_percent, 2),
            }
            for used in found
        ],
        "unanswered": asking.unanswered(missing),
    }
