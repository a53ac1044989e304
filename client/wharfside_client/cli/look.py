"""`inspect`, `info`: a closer look."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from wharfside_client.cli import exitcodes, words
from wharfside_client.cli.command import command
from wharfside_client.cli.places import OneNode, Targets
from wharfside_client.cli.session import Session
from wharfside_client.cli.targets import ask_each, tell_json

if TYPE_CHECKING:
    from wharfside_protocol.views import BusView, CapacityView, CriuInfo, NodeInfo


def register(app: typer.Typer) -> None:
    command(app, "inspect")(inspect)
    command(app, "info")(info)


async def inspect(
    session: Session,
    targets: Targets,
    incarnation: Annotated[
        str | None, typer.Option("--incarnation", help="Also one deleted, for 24 h", metavar="ULID")
    ] = None,
) -> int:
    """Everything about containers, as JSON."""
    outcomes = await ask_each(
        session,
        targets,
        lambda node, c: node.inspect(c, incarnation=incarnation, **session.options),
    )
    return tell_json(session, outcomes)


async def info(
    session: Session,
    node: OneNode,
) -> int:
    """What a node is: its runtimes, kernel, limits and readiness."""
    async with session.connect() as w:
        found = await w.node(node).info(**session.options)
    if session.output.json:
        session.output.document(found)
    else:
        for name, value in _info_lines(found):
            session.output.line(f"{name + ':':<16}{value}")
    return exitcodes.OK


def _info_lines(info: NodeInfo) -> Sequence[tuple[str, str]]:
    counts = info.containers
    return (
        ("node", f"{info.node} ({info.node_id})"),
        ("state", info.state),
        ("ready", " ".join(f"{part}={why}" for part, why in info.ready.items()) or "yes"),
        ("version", info.version),
        ("up since", info.started_at),
        ("boot", info.boot_id),
        ("epoch", str(info.epoch)),
        ("kernel", f"{info.kernel or '-'} {info.architecture or ''}".strip()),
        ("cpus, memory", f"{info.cpus or '-'}, {words.size(info.memory_bytes)}"),
        ("cgroups", info.cgroup or "-"),
        *(("runtime", f"{r.name} {r.version} ({r.path})") for r in info.runtimes),
        ("criu", _criu(info.criu)),
        (
            "containers",
            f"{counts.running} running, {counts.paused} paused, "
            f"{counts.created} created, {counts.stopped} stopped",
        ),
        *_capacity(info.capacity),
        ("bus", _bus(info.bus)),
        *((("credentials", f"expire {at[:19]}Z"),) if (at := info.credentials_expire_at) else ()),
        ("mailbox", info.mailbox or "-"),
        ("labels", " ".join(f"{key}={value}" for key, value in info.labels.items()) or "-"),
    )


def _capacity(capacity: CapacityView | None) -> Sequence[tuple[str, str]]:
    """What is promised, of what may be."""
    if capacity is None:
        return ()
    promised, total = capacity.promised, capacity.total
    told = (
        f"memory {words.size(promised.memory_bytes)} of {words.size(total.memory_bytes)}, "
        f"cpus {promised.cpu_percent / 100:g} of {total.cpu_percent / 100:g}, "
        f"pids {promised.pids} of {total.pids}"
    )
    enforced = ", ".join(capacity.enforced) or "nothing"
    loose = f"; {capacity.unlimited} without a limit" if capacity.unlimited else ""
    return (("promised", told + loose), ("enforced", enforced))


def _criu(criu: CriuInfo | None) -> str:
    """Its version, or in its own words why the node cannot checkpoint."""
    if criu is None:
        return "-"
    if not criu.usable:
        return f"not usable: {criu.says}"
    return f"{criu.version or '?'} ({criu.path}){', pre-dumps' if criu.pre_dump else ''}"


def _bus(bus: BusView) -> str:
    """The server, and what went wrong with the connection so far."""
    words = [bus.server or "-", f"{bus.reconnects} reconnects"]
    if bus.slow_consumers:
        words.append(f"{bus.slow_consumers} messages dropped")
    if bus.last_error is not None:
        words.append(f"last error {bus.last_error}")
    return ", ".join(words)
