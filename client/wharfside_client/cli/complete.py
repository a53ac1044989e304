"""What the shell offers after `wharfside stop <TAB>`: names, mostly from the bus, or nothing."""

from __future__ import annotations

PATIENCE_S = 1.0
"""A shell must not hang: where the bus is slow or away, nothing is offered."""


def nodes(incomplete: str) -> list[str]:
    """Nodes that have a presence."""
    return [name for name in _ask(containers=False) if name.startswith(incomplete)]


def targets(incomplete: str) -> list[str]:
    """Containers as last told."""
    return [name for name in _ask(containers=True) if name.startswith(incomplete)]


def places(incomplete: str) -> list[str]:
    """Both: nodes, and from the slash on a node's containers."""
    return targets(incomplete) if "/" in incomplete else nodes(incomplete)


def event_types(incomplete: str) -> list[str]:
    from wharfside_protocol.events import EventType

    return [kind for kind in EventType if kind.startswith(incomplete)]


def _ask(*, containers: bool) -> list[str]:
    import asyncio
    import os

    from wharfside_client.client import connect
    from wharfside_client.contexts import find_settings
    from wharfside_protocol.errors import WharfsideError

    async def names() -> list[str]:
        async with asyncio.timeout(PATIENCE_S), connect(find_settings({}, None, os.environ)) as w:
            if containers:
                told = await w.containers()
                return [f"{c.node}/{c.container}" for c in told if c.state != "deleted"]
            return [status.node for status in await w.nodes()]

    try:
        return asyncio.run(names())
    except (WharfsideError, TimeoutError, OSError):
        return []
