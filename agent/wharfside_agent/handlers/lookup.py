"""Finding the container that a read asks for: living by name, or terminal by incarnation."""

from __future__ import annotations

from dataclasses import dataclass

from wharfside_agent.handlers.node import Node
from wharfside_agent.ports.rows import ContainerRow, ProcessRow
from wharfside_agent.ports.store import Tx
from wharfside_agent.services.life.live import Live
from wharfside_protocol.command_base import InspectArgs
from wharfside_protocol.errors import NotFound


@dataclass(frozen=True, slots=True)
class Record:
    """What is over: a deleted container, or an older run of any; kept for 24 h."""

    row: ContainerRow
    processes: list[ProcessRow]


async def look_up(node: Node, args: InspectArgs, run: int | None = None) -> Live | Record:
    """The living container, or the record of a deleted one or of an older run.

    Without `incarnation` a name finds the living one, else the youngest record; without
    `run` that is its last run.

    Raises:
        NotFound: neither is there.
    """
    live = node.containers.get(args.container)
    if live is not None and args.incarnation in (None, live.row.incarnation):
        if run in (None, live.row.run):
            return live
        args = InspectArgs(container=args.container, incarnation=live.row.incarnation)
    found = await node.store.transact(lambda tx: _record(tx, args, run))
    if found is None or found.row.name != args.container:
        which = f" with incarnation {args.incarnation}" if args.incarnation else ""
        raise NotFound(f"no container {args.container}{which} on this node")
    if run is not None and run > found.row.run:
        raise NotFound(f"{args.container} has no run {run} yet: its last is {found.row.run}")
    return found


def _record(tx: Tx, args: InspectArgs, run: int | None) -> Record | None:
    if args.incarnation is not None:
        row = tx.container(args.incarnation)
    else:
        row = tx.last_of_name(args.container)
    return None if row is None else Record(row, tx.processes(row.incarnation, run or row.run))
