"""start: lets a created container's init run, or a stopped one run once more."""

from __future__ import annotations

from wharfside_agent.core.lifecycle import Input, advance
from wharfside_agent.handlers.node import Node
from wharfside_agent.ports.store import ContainerRow, Tx
from wharfside_agent.services.commands.book import Call
from wharfside_agent.services.views import state_value
from wharfside_protocol.command_base import ContainerArgs
from wharfside_protocol.commands import StateValue
from wharfside_protocol.states import ContainerState


async def start(node: Node, call: Call, args: ContainerArgs) -> StateValue:
    live = node.containers.find(args.container, call.command.expect)
    advance(live.row.state, Input.START, live.row.name)

    def also(tx: Tx, row: ContainerRow) -> None:
        call.settle(tx, state_value(row))

    if live.row.state is ContainerState.STOPPED:
        # Whatever a policy had counted, or was told, begins anew.
        anew = {"held": None, "restart": None}
        return state_value(await node.starts.again(live, call.id, also, raising=anew))
    return state_value(await node.starts.first(live, call.id, also))
