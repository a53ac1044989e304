"""One nats-py client from its opening to its end; it is never mended, the next one is new.

nats-py ends in CLOSED for good on most -ERR, its read loop and its reconnecting die in
silence of what a callback raises or of a late PONG, and closing waits for bytes that
nobody takes. So here every callback is guarded, the end is looked for and not only
awaited, and a client that is over is dropped with its socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

import structlog
from nats.errors import Error as NatsError
from nats.errors import SlowConsumerError

from wharfside_agent.bus import inside
from wharfside_agent.bus.client import StrictClient
from wharfside_agent.bus.options import CONNECT_S, BusOptions, location

log = structlog.get_logger(__name__)

CONNECT_FAILURES = (OSError, NatsError, asyncio.TimeoutError, ValueError)

LOOK_S = 1.0
"""The end of a client shows in its state before, and sometimes without, its callback."""

CLOSE_S = 2.0

RETIRE_S = 70.0
"""No answer over rpc takes longer: `wait` may ask for 60 s."""

ON_ITS_WAY_S = 3.5
"""A pull of the mailbox ends after 3 s: until then a letter may come to the client that sent it."""


class Link:
    """`open`, then `until_over`, then `drop`."""

    def __init__(self, options: BusOptions, unanswered_s: float) -> None:
        self._options = options
        self._unanswered_s = min(unanswered_s, 600.0)
        self._over = asyncio.Event()
        self._heard: tuple[float, tuple[int, int]] = (time.monotonic(), (0, 0))
        self._asked_since: float | None = None
        self.server = ""
        self.client = StrictClient()
        self.jetstream = self.client.jetstream()
        self.answered = False
        self.slow_consumers = 0
        self.last_error: Exception | None = None

    @property
    def up(self) -> bool:
        return self.client.is_connected and not self._over.is_set()

    async def open(self, server: str) -> None:
        """Connects to one server, with the files as they are now.

        Raises:
            one of CONNECT_FAILURES: it does not let us in.
        """
        arguments = self._options.connect_arguments(server)
        self.server = location(server)
        try:
            async with asyncio.timeout(CONNECT_S):
                await self.client.connect(
                    **arguments,
                    error_cb=self._on_error,
                    disconnected_cb=self._on_over,
                    closed_cb=self._on_over,
                )
        except BaseException:
            await self.drop()
            raise
        inside.limit_unacked(self.client, self._options.unacked_s)
        self._heard = (time.monotonic(), inside.heard(self.client))

    async def until_over(self) -> str:
        """Waits for the client's end; why it is over."""
        while True:
            if self._over.is_set() or not self.client.is_connected:
                return self.last_words() or "closed"
            if (why := self._given_up()) is not None:
                return why
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), LOOK_S)

    def _given_up(self) -> str | None:
        """Alive to look at, and of no use: its read loop or its answers have ended."""
        now, before = time.monotonic(), self._heard
        if (heard := inside.heard(self.client)) != before[1]:
            self._heard = (now, heard)
        elif now - before[0] > self._options.unanswered_s:
            return f"nothing heard for {self._options.unanswered_s:g} s"
        if self._asked_since is not None and now - self._asked_since > self._unanswered_s:
            return f"no request answered for {self._unanswered_s:g} s"
        return None

    def last_words(self) -> str | None:
        """What the server or the socket said last."""
        error = self.client.last_error or self.last_error
        return None if error is None else repr(error)

    def note_asked(self) -> None:
        if self._asked_since is None:
            self._asked_since = time.monotonic()

    def note_answered(self) -> None:
        """Whatever the answer says, also that nobody responds."""
        self._asked_since = None
        self.answered = True

    async def drop(self) -> None:
        """Ends it now: what is unsent is lost, what waits for an answer is told."""
        self._over.set()
        inside.fail_waiting(self.client)
        inside.abort(self.client)
        with contextlib.suppress(Exception):
            await asyncio.wait_for(self.client.close(), CLOSE_S)

    async def close(self, timeout_s: float) -> None:
        """Ends it after what waits to be written is written, bounded."""
        with contextlib.suppress(Exception):
            await asyncio.wait_for(inside.round_trip(self.client), timeout_s)
        await self.drop()

    async def retire(self, settled: Callable[[], Awaitable[None]]) -> None:
        """Ends it in good order, once another has its place: it takes nothing new, what it was
        asked is answered (`settled`), and what it asked has its answer; bounded by RETIRE_S."""
        try:
            async with asyncio.timeout(RETIRE_S):
                await inside.drain(self.client, self._options.inbox_prefix)
                await asyncio.gather(
                    asyncio.sleep(ON_ITS_WAY_S), settled(), inside.answered(self.client)
                )
        except Exception as error:
            log.info("bus-not-retired", error=repr(error))
        finally:
            await self.close(CLOSE_S)

    async def _on_error(self, error: Exception) -> None:
        """A server that is away is told once (`bus-unreachable`), not at every try.

        A flood is told once a link; `slow_consumers` counts each message that it cost.
        """
        self.last_error = error
        self.slow_consumers += isinstance(error, SlowConsumerError)
        told = isinstance(error, SlowConsumerError) and self.slow_consumers > 1
        say = log.debug if told or isinstance(error, OSError) else log.warning
        say("bus-error", error=repr(error))

    async def _on_over(self) -> None:
        self._over.set()


def quiet(tell: Callable[[], None]) -> None:
    """Calls what must not end the bus, whatever it raises."""
    try:
        tell()
    except Exception as error:
        log.error("listener-failed", exc_info=error)
