"""list, inspect, list-processes, stats, result: reads; none waits in a lane, none is stored."""

from __future__ import annotations

from typing import Any

import msgspec

from wharfside_agent.handlers.lookup import look_up
from wharfside_agent.handlers.node import Node
from wharfside_agent.ports.logs import LogName
from wharfside_agent.ports.rows import ContainerRow
from wharfside_agent.services.commands.call import Call
from wharfside_agent.services.life.backoff import waits_for_restart
from wharfside_agent.services.life.live import Live
from wharfside_agent.services.views import container_view, process_view, standing
from wharfside_protocol.codec import encode, portable
from wharfside_protocol.command_base import ContainerArgs, InspectArgs
from wharfside_protocol.commands import ListArgs, ListValue, ProcessesValue, StatsValue
from wharfside_protocol.node_commands import CommandArgs, CommandState
from wharfside_protocol.states import INIT, ContainerState
from wharfside_protocol.views import ContainerDetails, ContainerView, ProcessView

MAX_PAGE_BYTES = 700 * 1024
"""A page ends here, below what one message can carry, however few its containers."""


async def list_containers(node: Node, _call: Call, args: ListArgs) -> ListValue:
    """A page in the order of names."""
    matching = sorted(
        (live for live in node.containers if _wanted(live, args)), key=lambda live: live.row.name
    )
    page: list[ContainerView] = []
    size = 0
    for live in matching[: args.limit]:
        view = container_view(live.row, _command(live))
        size += len(encode(view))
        if page and size > MAX_PAGE_BYTES:
            break
        page.append(view)
    more = len(matching) > len(page)
    return ListValue(containers=page, next=page[-1].container if more else None)


def _wanted(live: Live, args: ListArgs) -> bool:
    row = live.row
    if args.after is not None and row.name <= args.after:
        return False
    if not args.all and row.state is ContainerState.STOPPED and not waits_for_restart(row):
        return False
    return args.labels.items() <= row.spec.labels.items()


def _command(live: Live) -> list[str]:
    if live.row.spec.process is not None:
        return live.row.spec.process.args
    return list(_oci_process(live).get("args", []))


def _oci_process(live: Live) -> dict[str, Any]:
    return dict(live.init.handle.spec) if live.init.handle is not None else {}


async def inspect(node: Node, _call: Call, args: InspectArgs) -> ContainerDetails:
    found = await look_up(node, args)
    if isinstance(found, Live):
        views = [process_view(each.row, each.handle) for each in found.processes.values()]
        return _details(node, found.row, views, _command(found), _oci_process(found))
    return _details(node, found.row, [process_view(each) for each in found.processes], [], {})


def _details(
    node: Node,
    row: ContainerRow,
    processes: list[ProcessView],
    command: list[str],
    oci: dict[str, Any],
) -> ContainerDetails:
    view = msgspec.structs.asdict(container_view(row, command))
    return ContainerDetails(
        **view,
        spec=row.spec,
        bundle=row.bundle,
        cgroup=row.cgroup,
        log=node.logs.where(LogName(row.incarnation, row.run, INIT)),
        oci_process=portable(oci) or None,
        restored_from=row.restored_from,
        processes=processes,
    )


async def list_processes(node: Node, call: Call, args: ContainerArgs) -> ProcessesValue:
    """init first, then the execs of this run, also those that have ended."""
    live = node.containers.find(args.container, call.command.expect)
    ordered = sorted(live.processes.values(), key=lambda process: process.row.process != INIT)
    return ProcessesValue(
        **standing(live.row), processes=[process_view(each.row, each.handle) for each in ordered]
    )


async def stats(node: Node, call: Call, args: ContainerArgs) -> StatsValue:
    live = node.containers.find(args.container, call.command.expect)
    return StatsValue(**standing(live.row), stats=live.runtime.stats())


async def result(node: Node, _call: Call, args: CommandArgs) -> CommandState:
    return await node.commands.state_of(args.command)
