"""drain and undrain: the node takes no new work, and is emptied; or takes it again."""

from __future__ import annotations

from wharfside_agent.handlers.node import Node
from wharfside_agent.services.commands.call import Call
from wharfside_agent.services.life.drain import DrainState
from wharfside_protocol.command_base import NoArgs
from wharfside_protocol.node_commands import DrainArgs, DrainValue, UndrainValue
from wharfside_protocol.times import NANOSECONDS


async def drain(node: Node, call: Call, args: DrainArgs) -> DrainValue:
    """Canceled, or undone by an undrain, it stops waiting; what it asked to stop, stops."""
    ends_at = call.received_at + int(args.timeout_s * NANOSECONDS)
    state = DrainState(policy=args.policy, command=call.id, ends_at=ends_at)
    await node.drain.begin(state)
    call.interruptible = True
    call.leave_lane()
    return await node.drain.emptied(state)


async def undrain(node: Node, call: Call, _args: NoArgs) -> UndrainValue:
    was = await node.drain.end(call.id)
    return UndrainValue(state="up", was_draining=was)
