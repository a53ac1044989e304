"""ping: the no-op; tells that the node answers, and its clock."""

from __future__ import annotations

from wharfside_agent.handlers.node import Node
from wharfside_agent.services.commands.call import Call
from wharfside_protocol.command_base import NoArgs
from wharfside_protocol.node_commands import Pong
from wharfside_protocol.times import to_timestamp


async def ping(node: Node, _call: Call, _args: NoArgs) -> Pong:
    identity = node.store.identity
    at = to_timestamp(node.clock.now())
    return Pong(node=identity.node, at=at, epoch=identity.epoch)
