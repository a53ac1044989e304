"""update: limits on the fly; only those given change."""

from __future__ import annotations

import msgspec

from wharfside_agent.core.journal import Step
from wharfside_agent.core.lifecycle import Input, advance
from wharfside_agent.handlers.node import Node
from wharfside_agent.ports.store import Intent
from wharfside_agent.services.commands.book import Call
from wharfside_agent.services.life.updates import tell_updated, with_limits
from wharfside_agent.services.views import state_value
from wharfside_protocol.commands import StateValue, UpdateArgs
from wharfside_protocol.errors import Invalid
from wharfside_protocol.specs import Limits


async def update(node: Node, call: Call, args: UpdateArgs) -> StateValue:
    live = node.containers.find(args.container, call.command.expect)
    advance(live.row.state, Input.UPDATE, live.row.name)
    limits = merged(live.row.spec.limits, args.limits)
    intent = Intent(
        incarnation=live.row.incarnation,
        op="update",
        step=Step.UPDATE_INTENDED,
        begun_at=node.clock.now(),
        command=call.id,
        limits=args.limits,
    )
    await node.store.transact(lambda tx: tx.save_intent(intent))
    node.journal.reached(Step.UPDATE_INTENDED)
    async with live.settling:
        try:
            await live.runtime.update(args.limits)
        except Exception:
            await node.store.transact(lambda tx: tx.close_intent(intent.incarnation, "update"))
            raise
        node.journal.reached(Step.UPDATE_DONE)
        row = await tell_updated(
            node.containers,
            live,
            limits,
            call.id,
            lambda tx, row: call.settle(tx, state_value(row)),
        )
    node.journal.reached(Step.UPDATE_COMMITTED)
    return state_value(row)


def merged(now: Limits | None, wanted: Limits) -> Limits:
    """`now` with the limits that `wanted` gives.

    Raises:
        Invalid: it gives none.
    """
    if not any(msgspec.structs.asdict(wanted).values()):
        raise Invalid("update without a limit: give at least one of memory_bytes, pids, cpu_*")
    return with_limits(now, wanted)
