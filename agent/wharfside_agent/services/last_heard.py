"""When this node last heard a server, by CLOCK_BOOTTIME, also over a death of the agent."""

from __future__ import annotations

import asyncio

from wharfside_agent.ports.clock import Clock
from wharfside_agent.ports.store import Store
from wharfside_protocol.times import NANOSECONDS

HEARD = "heard_boottime"
"""In the store's meta: nanoseconds since the boot; empty while nobody needs to know."""


class LastHeard:
    """Kept only while a container asks for it: `note` begins that, `forget` ends it."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._at: int | None = None
        self.wanted = asyncio.Event()
        """Somebody has begun to ask for it: look now, not when it was due."""

    async def load(self) -> None:
        """What a former life of this boot noted; the clock begins anew with each boot."""
        noted = await self._store.transact(lambda tx: tx.meta(HEARD))
        if self._store.identity.new_boot:
            await self.forget()
        elif noted:
            self._at = int(noted)

    def silent_s(self) -> float:
        """For so long no server was heard; 0 while that is not kept."""
        if self._at is None:
            return 0.0
        return max(0.0, (self._clock.boottime() - self._at) / NANOSECONDS)

    async def note(self, at: int | None = None) -> None:
        """A server was heard at `at` (boottime; now, where left out)."""
        self._at = self._clock.boottime() if at is None else at
        text = str(self._at)
        await self._store.transact(lambda tx: tx.set_meta(HEARD, text))

    async def want(self) -> None:
        """A command has come that asks for it; so a server was heard just now."""
        await self.note()
        self.wanted.set()

    async def forget(self) -> None:
        self._at = None
        await self._store.transact(lambda tx: tx.set_meta(HEARD, ""))

    @property
    def kept(self) -> bool:
        return self._at is not None
