"""update: limits on the fly; only those given change."""

from __future__ import annotations

from wharfside_agent.core.journal import Step
from wharfside_agent.handlers.judged import for_update
from wharfside_agent.handlers.node import Node
from wharfside_agent.ports.rows import Intent
from wharfside_agent.services.commands.call import Call
from wharfside_agent.services.life.live import Live
from wharfside_agent.services.life.updates import in_force, tell_updated
from wharfside_agent.services.views import state_value
from wharfside_protocol.commands import StateValue, UpdateArgs
from wharfside_protocol.specs import Limits


async def update(node: Node, call: Call, args: UpdateArgs) -> StateValue:
    live, limits = for_update(node, call, args)
    with node.capacity.held(live.row.name, in_force(live, args.limits)):
        return await _updated(node, live, limits, call, args)


async def _updated(
    node: Node, live: Live, limits: Limits, call: Call, args: UpdateArgs
) -> StateValue:
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
