"""receive, migrate, abort-migration, migrations, facts: containers between nodes."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from wharfside_agent.core.compatibility import unfit
from wharfside_agent.core.migration import OVER, Source, Target
from wharfside_agent.handlers.judged import check_fit, for_receive
from wharfside_agent.handlers.node import Node
from wharfside_agent.ports.rows import Arrival, ContainerRow, Departure
from wharfside_agent.ports.store import Tx
from wharfside_agent.services.commands.call import Call
from wharfside_agent.services.commands.intake import remaining
from wharfside_agent.services.migration.arrivals import expiry
from wharfside_agent.services.migration.outcomes import failure_of, value_of
from wharfside_agent.services.views import standing
from wharfside_protocol.checkpoints import CheckpointFlags
from wharfside_protocol.command_base import NoArgs
from wharfside_protocol.envelope import DEFAULT_MAILBOX_SECONDS, DEFAULT_RPC_SECONDS
from wharfside_protocol.errors import (
    AlreadyExists,
    Invalid,
    NotFound,
    WrongState,
)
from wharfside_protocol.migration import (
    AbortArgs,
    FactsArgs,
    MigrateArgs,
    MigrateValue,
    MigrationsValue,
    MigrationView,
    NodeFacts,
    ReceiveArgs,
    ReceiveValue,
)
from wharfside_protocol.times import to_timestamp

_CARRIED = frozenset({Source.ASKED, Source.LEAVING, Source.GONE})
"""The target has said that it has all of the image."""


async def facts(node: Node, _call: Call, args: FactsArgs) -> NodeFacts:
    spec = None if args.container is None else node.containers.find(args.container).row.spec
    return await node.facts.of(spec)


async def receive(node: Node, call: Call, args: ReceiveArgs) -> ReceiveValue:
    planned, ours = await for_receive(node, call, args)
    now = node.clock.now()
    row = Arrival(
        id=args.migration,
        state=Target.EXPECTING,
        container=args.container,
        source=args.source,
        source_id=args.facts.node_id,
        begun_at=now,
        expires_at=expiry(now, args.timeout_s),
        spec=args.spec,
        rules=call.rules,
        limits=planned.limits,
    )
    value = ReceiveValue(
        migration=args.migration, facts=ours, expires_at=to_timestamp(row.expires_at)
    )
    with node.capacity.held(row.container, planned.limits):
        await node.arrivals.expect(row, lambda tx: call.settle(tx, value))
    return value


async def migrate(node: Node, call: Call, args: MigrateArgs) -> MigrateValue:
    """Holds the container's lane until it is over; then only waits, also in a next life."""
    live = node.containers.find(args.container, call.command.expect)
    ours = await node.facts.of(live.row.spec)
    if args.target == ours.node:
        raise Invalid(f"{args.container} is on {args.target} already")
    if args.migration in node.departures:
        raise AlreadyExists(f"migration {args.migration} is known here already: choose another id")
    node.checkpoints.check(live, args)
    check_fit(ours, args.facts, unfit(ours, args.facts, live.row.spec, live.row.runtime))
    row = _departure(node, call, args, live.row)

    def journal(tx: Tx, _row: ContainerRow) -> None:
        tx.save_departure(row)

    await node.containers.commit(live, changes={"moving": row.id}, also=journal)
    node.departures.begin(row)
    await _patiently(node, call, row.id, node.departures.left_home(row.id))
    call.leave_lane()
    await _patiently(node, call, row.id, node.departures.outcome(row.id))
    row = node.departures.get(row.id)
    if row.state is not Source.GONE:
        raise failure_of(row)
    return value_of(row, standing(live.row))


async def _patiently(node: Node, call: Call, migration: str, until: asyncio.Future[Any]) -> None:
    """A cancel, or the deadline, only asks to give up: what comes of it is waited for."""
    call.interruptible = True
    default = DEFAULT_MAILBOX_SECONDS if call.durable else DEFAULT_RPC_SECONDS
    left: float | None = max(0.0, remaining(call.command, node.clock.now(), default))
    while not until.done():
        try:
            done, _ = await asyncio.wait([until], timeout=left)
        except asyncio.CancelledError:
            if node.going_down.done() or not call.cancel_asked:
                raise
            done = set()
        if not done:
            left = None  # once is enough
            await node.departures.cancel(migration)


async def abort(node: Node, _call: Call, args: AbortArgs) -> MigrationView:
    if args.migration in node.departures:
        row = node.departures.get(args.migration)
        if args.target_is_dead:
            await node.departures.target_is_dead(args.migration)
        else:
            await node.departures.cancel(args.migration)
        row = node.departures.get(args.migration)
        if row.state is Source.ASKED:
            raise WrongState(
                f"{row.target} may run it: nothing is started here before it answers, or somebody "
                "says that it is dead (--node-b-is-dead)",
                state=str(row.state),
            )
        return _of_departure(node, row)
    with suppress(NotFound):
        return _of_arrival(node, await node.arrivals.cancel(args.migration))
    raise NotFound(f"no migration {args.migration} on this node: `migrations` lists them")


async def migrations(node: Node, _call: Call, _args: NoArgs) -> MigrationsValue:
    leaving = [_of_departure(node, row) for row in node.departures.rows]
    coming = [_of_arrival(node, row) for row in node.arrivals.rows]
    everything = sorted(leaving + coming, key=lambda view: (view.over, view.begun_at))
    return MigrationsValue(migrations=everything[:500])


def _departure(node: Node, call: Call, args: MigrateArgs, row: ContainerRow) -> Departure:
    return Departure(
        id=args.migration,
        state=Source.DUMPING,
        container=row.name,
        incarnation=row.incarnation,
        run=row.run,
        checkpoint=f"move-{args.migration[:32].lower().replace('_', '-')}",
        target=args.target,
        target_id=args.facts.node_id,
        name=args.name or args.container,
        begun_at=node.clock.now(),
        flags=CheckpointFlags(
            tcp=args.tcp,
            unix_sockets=args.unix_sockets,
            shell=args.shell,
            file_locks=args.file_locks,
            pre_dump=args.pre_dump,
            exit=True,
        ),
        command=call.id,
        deadline=call.command.deadline,
    )


def _of_departure(node: Node, row: Departure) -> MigrationView:
    carried, total = node.departures.progress(row.id)
    if row.state in _CARRIED:
        carried = row.bytes
    return _view(row, "source", row.target, carried, total or row.bytes)


def _of_arrival(node: Node, row: Arrival) -> MigrationView:
    carried, total = node.arrivals.progress(row.id)
    return _view(row, "target", row.source, carried, total)


def _view(
    row: Departure | Arrival, side: str, peer: str, carried: int, total: int
) -> MigrationView:
    return MigrationView(
        migration=row.id,
        side=side,
        state=str(row.state),
        container=row.container,
        peer=peer,
        begun_at=to_timestamp(row.begun_at),
        over=row.state in OVER,
        unknown=row.state is Source.ASKED,
        incarnation=row.incarnation,
        bytes=carried,
        total=total,
        error=row.failure,
    )
