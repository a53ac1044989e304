"""resync: every projection is put again, and a snapshot tells where the node stands."""

from __future__ import annotations

from wharfside_agent.handlers.node import Node
from wharfside_agent.ports.bus import BusError
from wharfside_agent.services.commands.call import Call
from wharfside_protocol.errors import Internal
from wharfside_protocol.node_commands import ResyncArgs, ResyncValue


async def resync(node: Node, call: Call, args: ResyncArgs) -> ResyncValue:
    """The puts follow within seconds; nothing of a container is changed."""
    try:
        forgotten = await node.projections.forget(args.forget)
    except BusError as error:
        raise Internal(f"the bucket took no removal: {error}; try again") from error
    names = await node.projections.all_due()
    snapshot = await node.snapshots.tell(call.id)
    return ResyncValue(names=len(names), snapshot=snapshot, forgotten=forgotten)
