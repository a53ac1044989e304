"""commands: what the node keeps of commands, the last received first."""

from __future__ import annotations

from wharfside_agent.handlers.node import Node
from wharfside_agent.ports.rows import CommandRow
from wharfside_agent.services.commands.call import Call
from wharfside_protocol.node_commands import CommandsArgs, CommandSummary, CommandsValue
from wharfside_protocol.times import to_timestamp


async def commands(node: Node, _call: Call, args: CommandsArgs) -> CommandsValue:
    found = await node.store.transact(lambda tx: tx.commands_before(args.before, args.limit + 1))
    page = found[: args.limit]
    more = len(found) > args.limit
    return CommandsValue(
        commands=[_summary(row) for _place, row in page], next=page[-1][0] if more else None
    )


def _summary(row: CommandRow) -> CommandSummary:
    return CommandSummary(
        command=row.id,
        op=row.op,
        lane="mailbox" if row.durable else "rpc",
        state=str(row.phase),
        container=row.container,
        error=row.error,
        actor=row.actor or None,
        key=row.key,
        received_at=to_timestamp(row.received_at),
        started_at=_time(row.started_at),
        finished_at=_time(row.finished_at),
    )


def _time(nanoseconds: int | None) -> str | None:
    return None if nanoseconds is None else to_timestamp(nanoseconds)
