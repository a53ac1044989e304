"""Shows that nothing was changed: the node's own counters say how much was told in between."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.integration.raw import new_id
from tests.integration.world import Site

from wharfside_protocol.events import Event, EventType


@asynccontextmanager
async def nothing_changes(site: Site) -> AsyncIterator[None]:
    """Whatever is done meanwhile to the node makes no event, no container, and no silence.

    A `seq` is given to every event of a node, gapless: two signs of life with nothing between
    them have neighbouring ones, but for the `audit` of the canary's own commands.
    """
    canary = await site.run(name=site.name("canary"))
    listed = await site.node.list(all=True)
    before = await _sign_of_life(site, canary)
    yield
    after = await _sign_of_life(site, canary)
    between = [await _event(site, seq) for seq in range(before + 1, after)]
    assert {event.type for event in between} <= {EventType.AUDIT}, between
    assert await site.node.list(all=True) == listed


async def _event(site: Site, seq: int) -> Event:
    def wanted(event: Event) -> bool:
        return event.node == site.agent.name and event.seq == seq

    return await site.told.until(wanted, f"event {seq}")


async def _sign_of_life(site: Site, canary: str) -> int:
    """A signal that its init ignores (PID 1 without a handler), and the `seq` of its event."""
    id_ = new_id()
    await site.node.signal(canary, "USR1", command_id=id_)
    return (await site.told.event(canary, "signaled", cause=id_)).seq
