"""cancel: ends a command that waits for its lane, or that only waits for an exit."""

from __future__ import annotations

from wharfside_agent.handlers.node import Node
from wharfside_agent.services.commands.call import Call
from wharfside_protocol.node_commands import CancelValue, CommandArgs


async def cancel(node: Node, _call: Call, args: CommandArgs) -> CancelValue:
    canceled = await node.commands.cancel(args.command)
    return CancelValue(command=args.command, canceled=canceled)
