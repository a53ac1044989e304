"""run: create and start as one command; one result for both."""

from __future__ import annotations

from wharfside_agent.handlers.create import make
from wharfside_agent.handlers.node import Node
from wharfside_agent.services.commands.call import Call
from wharfside_agent.services.views import create_value
from wharfside_protocol.commands import CreateArgs, CreateValue
from wharfside_protocol.errors import WharfsideError


async def run(node: Node, call: Call, args: CreateArgs) -> CreateValue:
    """As docker: what was created but would not start stays, stopped, unless auto_remove."""
    live = await make(
        node, call, args, lambda tx, row: tx.save_intent(node.starts.intent(row, call.id))
    )
    try:
        row = await node.starts.let_run(
            live, call.id, lambda tx, row: call.settle(tx, create_value(row))
        )
    except WharfsideError:
        await node.endings.remove_if_asked(live)
        raise
    return create_value(row)
