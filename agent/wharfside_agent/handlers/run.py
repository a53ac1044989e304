"""run: create and start as one command; one result for both."""

from __future__ import annotations

from wharfside_agent.handlers.create import make
from wharfside_agent.handlers.node import Node
from wharfside_agent.handlers.start import journal_start, let_run
from wharfside_agent.services.commands import Call
from wharfside_agent.services.views import create_value
from wharfside_protocol.commands import CreateArgs, CreateValue
from wharfside_protocol.errors import WharfsideError


async def run(node: Node, call: Call, args: CreateArgs) -> CreateValue:
    """As docker: what was created but would not start stays, stopped, unless auto_remove."""
    live = await make(
        node, call, args, lambda tx, row: journal_start(tx, row, call, node.clock.now())
    )
    try:
        row = await let_run(node, live, call, lambda tx, row: call.settle(tx, create_value(row)))
    except WharfsideError:
        await node.endings.remove_if_asked(live)
        raise
    return create_value(row)
