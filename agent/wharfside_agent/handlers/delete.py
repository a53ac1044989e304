"""delete: takes a created or stopped container away; with force also one that runs."""

from __future__ import annotations

from wharfside_agent.handlers.node import Node
from wharfside_agent.services.commands.call import Call
from wharfside_agent.services.views import standing
from wharfside_protocol.commands import DeleteArgs, DeleteValue


async def delete(node: Node, call: Call, args: DeleteArgs) -> DeleteValue:
    live = node.containers.find(args.container, call.command.expect)
    if args.force:
        await node.endings.force(live, call.id)

    def value() -> DeleteValue:
        return DeleteValue(**standing(live.row), exit=live.row.exit)

    await node.endings.remove(live, cause=call.id, also=lambda tx, _row: call.settle(tx, value()))
    return value()
