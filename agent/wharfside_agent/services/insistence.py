"""Sends until it is taken: the outbox keeps what the bus does not take (rule 8)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from tenacity import AsyncRetrying, retry_if_exception_type, wait_random_exponential

from wharfside_agent.ports.bus import Bus, NoStream, Offline, Undecided

log = structlog.get_logger(__name__)

Send = Callable[[], Awaitable[int]]

_AGAIN = (Undecided, NoStream, Offline)
_WAIT = wait_random_exponential(multiplier=0.1, max=5)


class Insistence:
    """Tries again for ever, with a spread; at once when the bus is back.

    Attributes:
        retries: so often something had to be sent once more.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus_back: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._nobody_took = False
        self._ever_taken = False
        self.retries = 0
        bus.on_connected(self._wake)

    @property
    def wanting(self) -> str | None:
        """Why what was sent last waits: `no-stream`, where nothing was ever taken in this life.
        A stream that took something and now answers nobody is `unanswered`: its servers elect a
        leader or lack a majority, or it was deleted. The server's answer is the same in all three.
        """
        if not self._nobody_took:
            return None
        return "unanswered" if self._ever_taken else "no-stream"

    async def until_taken(self, lane: str, send: Send) -> int:
        """What `send` returns, once it raises no bus error that time may mend."""
        try:
            # The first try is nearly always the only one: it goes without ceremony.
            return await self._once(send)
        except _AGAIN as error:
            self._tell(lane, error)
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(_AGAIN),
            wait=_WAIT,
            sleep=self.nap,
            before_sleep=lambda state: self._tell(lane, _error_of(state.outcome)),
        ):
            with attempt:
                return await self._once(send)
        raise AssertionError("retries never end")

    async def _once(self, send: Send) -> int:
        taken = await send()
        self._nobody_took, self._ever_taken = False, True
        return taken

    def _tell(self, lane: str, error: BaseException | None) -> None:
        self._nobody_took = isinstance(error, NoStream)
        self.retries += 1
        say = log.debug if isinstance(error, Offline) else log.warning
        say("event-not-published", lane=lane, error=repr(error))

    async def nap(self, seconds: float) -> None:
        """Waits so long, or until the bus is back."""
        await asyncio.wait({self._bus_back}, timeout=seconds)

    def _wake(self) -> None:
        self._bus_back.set_result(None)
        self._bus_back = asyncio.get_running_loop().create_future()


def _error_of(outcome: object) -> BaseException | None:
    exception = getattr(outcome, "exception", None)
    return exception() if exception is not None else None
