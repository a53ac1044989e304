"""start: lets a created container's init run, or a stopped one run once more."""

from __future__ import annotations

from wharfside_agent.handlers.judged import for_start
from wharfside_agent.handlers.node import Node
from wharfside_agent.ports.rows import ContainerRow
from wharfside_agent.ports.store import Tx
from wharfside_agent.services.commands.call import Call
from wharfside_agent.services.life.capacity import limits_of
from wharfside_agent.services.views import state_value
from wharfside_protocol.command_base import ContainerArgs
from wharfside_protocol.commands import StateValue
from wharfside_protocol.states import ContainerState


async def start(node: Node, call: Call, args: ContainerArgs) -> StateValue:
    live = for_start(node, call, args)

    def also(tx: Tx, row: ContainerRow) -> None:
        call.settle(tx, state_value(row))

    if live.row.state is ContainerState.STOPPED:
        # Whatever a policy had counted, or was told, begins anew.
        anew = {"held": None, "restart": None}
        with node.capacity.held(live.row.name, limits_of(live.row)):
            return state_value(await node.starts.again(live, call.id, also, raising=anew))
    return state_value(await node.starts.first(live, call.id, also))
