"""Whether the loop turns in time: everything that the agent does waits for it."""

from __future__ import annotations

import asyncio

from wharfside_agent.core.figures import LAG_S, Histogram

LOOK_EVERY_S = 1.0

LATE_S = 2.0
"""A turn that comes so much too late is no longer noise."""

TOLD_FOR_S = 30.0
"""So long it is told afterwards, so that a prober that comes now and then hears of it."""


class LoopWatch:
    """`lags`: how much too late the loop came back to a sleeper, once a second."""

    def __init__(self) -> None:
        self.lags = Histogram(LAG_S)
        self._late_at: float | None = None

    @property
    def late(self) -> bool:
        """It was, lately."""
        now = asyncio.get_running_loop().time()
        return self._late_at is not None and now - self._late_at < TOLD_FOR_S

    async def run(self) -> None:
        """Looks for ever."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LOOK_EVERY_S
            await asyncio.sleep(LOOK_EVERY_S)
            self.note(max(0.0, loop.time() - due))

    def note(self, lag_s: float) -> None:
        self.lags.observe(lag_s)
        if lag_s >= LATE_S:
            self._late_at = asyncio.get_running_loop().time()
