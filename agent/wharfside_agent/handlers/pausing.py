"""pause and resume: the freezer of the container's cgroup."""

from __future__ import annotations

from wharfside_agent.core.journal import Step
from wharfside_agent.core.lifecycle import Input, advance
from wharfside_agent.handlers.node import Node
from wharfside_agent.ports.rows import ContainerRow, Intent
from wharfside_agent.ports.store import Tx
from wharfside_agent.services.commands.call import Call
from wharfside_agent.services.views import state_value
from wharfside_protocol.command_base import ContainerArgs
from wharfside_protocol.commands import StateValue


async def pause(node: Node, call: Call, args: ContainerArgs) -> StateValue:
    return await _freeze_or_thaw(node, call, args, Input.PAUSE)


async def resume(node: Node, call: Call, args: ContainerArgs) -> StateValue:
    return await _freeze_or_thaw(node, call, args, Input.RESUME)


async def _freeze_or_thaw(node: Node, call: Call, args: ContainerArgs, input_: Input) -> StateValue:
    live = node.containers.find(args.container, call.command.expect)
    advance(live.row.state, input_, live.row.name)
    intent = Intent(
        incarnation=live.row.incarnation,
        op="freeze",
        step=Step.FREEZE_INTENDED,
        begun_at=node.clock.now(),
        command=call.id,
    )
    await node.store.transact(lambda tx: tx.save_intent(intent))
    node.journal.reached(Step.FREEZE_INTENDED)

    def close(tx: Tx, row: ContainerRow) -> None:
        tx.close_intent(row.incarnation, "freeze")
        call.settle(tx, state_value(row))

    async with live.settling:
        await (live.runtime.pause() if input_ is Input.PAUSE else live.runtime.resume())
        node.journal.reached(Step.FREEZE_DONE)
        row = await node.containers.advance(live, input_, cause=call.id, also=close)
    node.journal.reached(Step.FREEZE_COMMITTED)
    return state_value(row)
