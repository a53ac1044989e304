"""Turns of the event loop: whoever has much to do gives it up now and then."""

from __future__ import annotations

import asyncio
import time

TURN_S = 0.002


class Turn:
    """Of one that works on without a wait: a flood would hold the loop."""

    def __init__(self) -> None:
        self._since = time.monotonic()

    async def give_up(self) -> None:
        """Lets others have the loop after TURN_S."""
        if time.monotonic() - self._since > TURN_S:
            await asyncio.sleep(0)
            self._since = time.monotonic()
