"""info: the node itself, as its presence tells it, and how far its events are published."""

from __future__ import annotations

import msgspec

from wharfside_agent.handlers.node import Node
from wharfside_agent.services.commands.call import Call
from wharfside_protocol.command_base import NoArgs
from wharfside_protocol.views import NodeInfo


async def info(node: Node, _call: Call, _args: NoArgs) -> NodeInfo:
    through = await node.store.transact(lambda tx: tx.published_through())
    return msgspec.structs.replace(node.info(), published_through=through)
