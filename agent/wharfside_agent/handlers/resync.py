"""resync: every projection is put again, and a snapshot tells where the node stands."""

from __future__ import annotations

from wharfside_agent.handlers.node import Node
from wharfside_agent.services.commands.book import Call
from wharfside_protocol.command_base import NoArgs
from wharfside_protocol.commands import ResyncValue


async def resync(node: Node, call: Call, _args: NoArgs) -> ResyncValue:
    """The puts follow within seconds; nothing of a container is changed."""
    names = await node.projections.all_due()
    snapshot = await node.snapshots.tell(call.id)
    return ResyncValue(names=len(names), snapshot=snapshot)
