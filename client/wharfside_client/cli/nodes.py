"""`nodes`: who is in the fleet; `nodes add` and `nodes rm` for the provisioner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from wharfside_client.cli import words
from wharfside_client.cli.assets import tell_assets
from wharfside_client.cli.command import command, group
from wharfside_client.cli.help import Group
from wharfside_client.cli.output import Column
from wharfside_client.cli.places import Nodes
from wharfside_client.cli.session import Session

if TYPE_CHECKING:
    from wharfside_client.fleet import NodeStatus
    from wharfside_protocol.views import NodeInfo

COLUMNS = (
    Column("NODE", "bold", grows=True),
    Column("STATE", "cyan"),
    Column("SEEN", right=True),
    Column("RUNNING", right=True),
    Column("CPUS", right=True),
    Column("MEMORY", right=True),
    Column("RUNTIMES", grows=True),
    Column("VERSION"),
)


def register(app: typer.Typer) -> None:
    nodes_app = typer.Typer(cls=Group, no_args_is_help=False)
    group(nodes_app)(nodes)
    command(nodes_app, "add")(add)
    command(nodes_app, "rm")(rm)
    app.add_typer(nodes_app, name="nodes")


async def nodes(session: Session) -> None:
    """List the nodes; add and remove them (mailbox and presence)."""
    async with session.connect() as w:
        found = await w.nodes()
    if session.output.json:
        session.output.document(found)
    else:
        session.output.table(COLUMNS, [_row(status) for status in found])


async def add(session: Session, names: Nodes) -> int:
    """Make the mailboxes of nodes; an agent of such a name can then be sent durable commands.

    And what brings it containers that move to it from other nodes.
    """
    async with session.connect() as w:
        adds = (w.setup.add_node, w.setup.add_carriage)
        reports = [await add(name) for name in names for add in adds]
    return tell_assets(session, reports)


async def rm(session: Session, names: Nodes) -> int:
    """Forget nodes that are gone: their mailboxes, with what waits there, and presences."""
    async with session.connect() as w:
        reports = [report for name in names for report in await w.setup.remove_node(name)]
    return tell_assets(session, reports)


def _row(status: NodeStatus) -> Sequence[str]:
    info = status.info
    counts = info.containers
    total = counts.created + counts.running + counts.paused + counts.stopped
    return (
        status.node,
        _state(status),
        words.span(status.seen_s),
        f"{counts.running}/{total}",
        _cpus(info),
        _memory(info),
        " ".join(f"{runtime.name} {runtime.version}" for runtime in info.runtimes) or "-",
        info.version,
    )


def _cpus(info: NodeInfo) -> str:
    """With what is promised of them, where something is."""
    promised = 0 if info.capacity is None else info.capacity.promised.cpu_percent
    of = str(info.cpus or "-")
    return f"{promised / 100:g}/{of}" if promised else of


def _memory(info: NodeInfo) -> str:
    promised = 0 if info.capacity is None else info.capacity.promised.memory_bytes
    of = words.size(info.memory_bytes)
    return f"{words.size(promised)}/{of}" if promised else of


def _state(status: NodeStatus) -> str:
    """With what it is not ready in, and how far its clock is off, where deadlines would suffer."""
    from wharfside_client.fleet import SKEW_S

    if status.silent:
        return "silent"
    flaws = [f"{part}: {why}" for part, why in status.info.ready.items()]
    if abs(status.skew_s) > SKEW_S:
        flaws.append(f"clock {status.skew_s:+.0f}s")
    return f"{status.info.state} ({', '.join(flaws)})" if flaws else status.info.state
