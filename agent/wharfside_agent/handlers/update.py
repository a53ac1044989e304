"""update: limits on the fly; only those given change."""

from __future__ import annotations

import msgspec

from wharfside_agent.core.lifecycle import Input, advance
from wharfside_agent.handlers.node import Node
from wharfside_agent.services.commands import Call
from wharfside_agent.services.views import state_value
from wharfside_protocol.commands import StateValue, UpdateArgs
from wharfside_protocol.errors import Invalid
from wharfside_protocol.events import Updated
from wharfside_protocol.specs import Limits


async def update(node: Node, call: Call, args: UpdateArgs) -> StateValue:
    live = node.containers.find(args.container, call.command.expect)
    advance(live.row.state, Input.UPDATE, live.row.name)
    limits = merged(live.row.spec.limits, args.limits)
    async with live.settling:
        await live.runtime.update(args.limits)
        spec = msgspec.structs.replace(live.row.spec, limits=limits)
        row = await node.containers.advance(
            live,
            Input.UPDATE,
            Updated(limits=limits),
            changes={"spec": spec},
            cause=call.id,
            also=lambda tx, row: call.settle(tx, state_value(row)),
        )
    return state_value(row)


def merged(now: Limits | None, wanted: Limits) -> Limits:
    """`now` with the limits that `wanted` gives.

    Raises:
        Invalid: it gives none.
    """
    given = {key: value for key, value in msgspec.structs.asdict(wanted).items() if value}
    if not given:
        raise Invalid("update without a limit: give at least one of memory_bytes, pids, cpu_*")
    return msgspec.structs.replace(now or Limits(), **given)
