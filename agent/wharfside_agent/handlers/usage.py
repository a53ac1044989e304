"""usage: the few figures of many containers in one answer, for live tables."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from wharfside_agent.handlers.node import Node
from wharfside_agent.services.commands.call import Call
from wharfside_agent.services.life.live import Live
from wharfside_agent.services.views import standing
from wharfside_protocol.node_commands import ContainerUsage, UsageArgs, UsageValue

SLICE_US = 2_000
"""The loop is held no longer at a time: exits and other commands go on between."""


async def usage(node: Node, _call: Call, args: UsageArgs) -> UsageValue:
    """A page in the order of names."""
    matching = sorted(_wanted(node, args), key=lambda live: live.row.name)
    page = matching[: args.limit]
    more = len(matching) > len(page)
    return UsageValue(
        node=node.machine_usage(),
        containers=await _read(page, node.clock.boottime),
        next=page[-1].row.name if more else None,
    )


def _wanted(node: Node, args: UsageArgs) -> list[Live]:
    names = None if args.containers is None else set(args.containers)
    return [
        live
        for live in node.containers
        if live.handle is not None
        and live.row.state.live
        and (names is None or live.row.name in names)
        and (args.after is None or live.row.name > args.after)
        and args.labels.items() <= live.row.spec.labels.items()
    ]


async def _read(page: list[Live], boottime_ns: Callable[[], int]) -> list[ContainerUsage]:
    """Whoever is over meanwhile is left out."""
    found: list[ContainerUsage] = []
    since_us = boottime_ns() // 1000
    for live in page:
        figures = live.handle.usage() if live.handle is not None else None
        if figures is None:
            continue
        found.append(ContainerUsage(**standing(live.row), usage=figures))
        if figures.uptime_us - since_us > SLICE_US:
            await asyncio.sleep(0)
            since_us = boottime_ns() // 1000
    return found
