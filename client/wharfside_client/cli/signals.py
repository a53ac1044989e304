"""Signals that come to the CLI while it stands in for a process elsewhere."""

from __future__ import annotations

import asyncio
import signal
from typing import Self

LEAVING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
"""The first goes on to the process, the second one leaves it alone."""
PASSING = (signal.SIGUSR1, signal.SIGUSR2)
AT_ONCE = 16
"""So many wait to be passed on; more of them mean no more to the process either."""


class Signals:
    """The signals that come while it is open, instead of their default effect.

    Attributes:
        left: done with the signal by which the process is left running.
    """

    def __init__(self, *, proxy: bool) -> None:
        """`proxy` off: none is passed on, and the first of LEAVING leaves the process."""
        self.left: asyncio.Future[signal.Signals] = asyncio.get_running_loop().create_future()
        self._passed: asyncio.Queue[signal.Signals] = asyncio.Queue(AT_ONCE)
        self._proxy = proxy
        self._asked = not proxy

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for number in (*LEAVING, *(PASSING if self._proxy else ())):
            loop.add_signal_handler(number, self._came, number)
        return self

    def __exit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        for number in (*LEAVING, *(PASSING if self._proxy else ())):
            loop.remove_signal_handler(number)

    async def next(self) -> signal.Signals:
        """The next one to be passed on."""
        return await self._passed.get()

    def leave(self, number: signal.Signals) -> None:
        if not self.left.done():
            self.left.set_result(number)

    def _came(self, number: signal.Signals) -> None:
        if number in LEAVING and self._asked:
            self.leave(number)
            return
        self._asked = self._asked or number in LEAVING
        if not self._passed.full():
            self._passed.put_nowait(number)
