"""Following a stream: every stored message after a sequence, in order, once, across any outage.

Subscribe first, then read: what the live subscription misses is read from the
stream, what it tells twice is dropped. A reader that is too slow for the live
messages falls back to reading pages; nothing is held but one page and one
bounded buffer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    retry_if_result,
    stop_after_delay,
    wait_exponential,
)

from wharfside_client.bus import Bus, Tap
from wharfside_client.cursor import Cursor, SequenceReset
from wharfside_client.direct import Page, Stored, read_last, read_page, stored
from wharfside_client.errors import ApiError, EventsLost, NotSetUp, ServerUnreachable, Unanswered
from wharfside_client.messages import Message
from wharfside_protocol.errors import Denied
from wharfside_protocol.times import from_timestamp

LIVE_LIMIT = 1024
"""Live messages held for a slow reader; beyond it they are read from the stream again."""
RESYNC_S = 10.0
"""After so long without a live message the stream is asked: one may have been missed."""
STREAM_HEADER = "Nats-Stream"
OUTAGE_S = 300.0
"""So long a stream that cannot be read is tried again before the reader is told."""


@dataclass(frozen=True, slots=True)
class Source:
    """A stream and how it is listened to.

    `subject` is wanted of it, `everything` is all that it has. `whole`: nothing is ever
    taken out of it but what expires, so its sequences have no holes.
    """

    stream: str
    subject: str
    live: str
    everything: str
    whole: bool

    @property
    def contiguous(self) -> bool:
        """A hole in what is read shows that something has expired."""
        return self.whole and self.subject == self.everything


class Heard(NamedTuple):
    """A message with whether it came as it was stored, and not from a page read later."""

    message: Stored
    live: bool


class Follower:
    """
    Attributes:
        cursor: up to where everything has been taken out of here or is `waiting`.
        waiting: read already, to be taken next.
    """

    def __init__(
        self,
        bus: Bus,
        source: Source,
        *,
        resync_s: float = RESYNC_S,
        outage_s: float = OUTAGE_S,
        live_limit: int = LIVE_LIMIT,
    ) -> None:
        self.cursor = Cursor(0)
        self.waiting: deque[Heard] = deque()
        self._bus = bus
        self._source = source
        self._resync_s = resync_s
        self._outage_s = outage_s
        self._live_limit = live_limit
        self._live: deque[Message] = deque()
        self._wake = asyncio.Event()
        self._unread = False
        self._doubt = False
        self._tap: Tap | None = None

    async def listen(self) -> None:
        """Subscribes; from now on nothing is missed.

        Raises:
            ServerUnreachable: not connected.
        """
        self._tap = await self._bus.subscribe(self._source.live, self._ring)
        self._bus.listeners.add(self._look_again)

    def begin(self, cursor: Cursor) -> None:
        """What follows `cursor` is next."""
        self.cursor = cursor
        self._unread = True

    def forget(self) -> None:
        """Drops what was heard of a stream that is no more; then read, and `begin` again."""
        self.cursor = Cursor(0)
        self.waiting.clear()
        self._live.clear()
        self._doubt = False

    async def close(self) -> None:
        self._bus.listeners.discard(self._look_again)
        if self._tap is not None:
            await self._tap.close()

    async def next(self) -> Heard:
        """
        Raises:
            EventsLost: the stream was made anew, or what would be next has expired.
            ServerUnreachable, Unanswered, NotSetUp: the stream could not be read for long.
            Denied: this user may not listen.
        """
        while not self.waiting:
            if self._doubt:
                await self._settle_doubt()
            elif self._unread or self.cursor.behind:
                await self._catch_up()
            elif self._live:
                self._take_live(self._live.popleft())
            else:
                await self._wait_for_bell()
        return self.waiting.popleft()

    def _ring(self, message: Message) -> None:
        if len(self._live) < self._live_limit:
            self._live.append(message)
        else:
            self._unread = True
        self._wake.set()

    def _look_again(self) -> None:
        self._unread = self._doubt = True
        self._wake.set()

    async def _wait_for_bell(self) -> None:
        if self._tap is not None and self._tap.denied:
            raise Denied(
                f"this NATS user may not listen on {self._source.live}", rule="nats-subscription"
            )
        self._wake.clear()
        try:
            async with asyncio.timeout(self._resync_s):
                await self._wake.wait()
        except TimeoutError:
            self._look_again()

    def _take_live(self, message: Message) -> None:
        """The server can be made to answer others here: what this stream has not republished
        is a bell and no more."""
        try:
            rung = stored(message)
        except ApiError:
            rung = None
        if rung is None or rung.headers.get(STREAM_HEADER) != self._source.stream:
            self._unread = True
            return
        try:
            if self.cursor.ring(rung.seq, from_timestamp(rung.time)):
                self.waiting.append(Heard(rung, live=True))
        except SequenceReset as error:
            raise self._made_anew(rung.seq) from error

    async def _catch_up(self) -> None:
        """Reads one page from the cursor on; again, where what has rung is not in it yet.

        A replica that answers direct gets may lag behind the one that republished. The page
        begins with the last one known: the stream may be another one since it was looked at.
        """
        self._unread = False
        page: Page = await self._retrying(
            retry_if_result(lambda page: self.cursor.behind and not self._brings_news(page))
        )(self._read_on)
        self._unread = self._unread or page.pending > 0
        for message in page.messages:
            self._compare(message)
            if self._source.contiguous and message.seq > self.cursor.last + 1:
                raise self._expired(message.seq)
            if self.cursor.take(message.seq, from_timestamp(message.time)):
                self.waiting.append(Heard(message, live=False))

    async def _settle_doubt(self) -> None:
        self._doubt = False
        try:
            await self._see_that_it_goes_on()
        except BaseException:
            self._doubt = True
            raise

    async def _see_that_it_goes_on(self) -> None:
        """After an outage or a silence: the stream may be another one, or have expired."""
        source, last = self._source, self.cursor.last
        newest: Stored | None = await self._retrying()(self._read_newest)
        if newest is None or last == 0:
            return
        self._compare(newest)
        if source.whole:
            page: Page = await self._retrying()(self._read_last_told)
            for first in page.messages:
                self._compare(first)
                if self._source.contiguous and first.seq > last + 1:
                    raise self._expired(first.seq)

    def _compare(self, message: Stored) -> None:
        if self.cursor.contradicts(message.seq, from_timestamp(message.time)):
            raise self._made_anew(message.seq)

    def _retrying(self, *also: retry_if_result) -> AsyncRetrying:
        retry = retry_if_exception_type((ServerUnreachable, Unanswered, NotSetUp))
        return AsyncRetrying(
            retry=retry | also[0] if also else retry,
            wait=wait_exponential(multiplier=0.05, max=2.0),
            stop=stop_after_delay(self._outage_s),
            retry_error_callback=_as_it_came,
        )

    def _brings_news(self, page: Page) -> bool:
        return any(message.seq > self.cursor.last for message in page.messages)

    async def _read_on(self) -> Page:
        source = self._source
        return await read_page(self._bus, source.stream, source.subject, self.cursor.last)

    async def _read_last_told(self) -> Page:
        source, last = self._source, self.cursor.last
        return await read_page(self._bus, source.stream, source.everything, last, batch=1)

    async def _read_newest(self) -> Stored | None:
        return await read_last(self._bus, self._source.stream, self._source.everything)

    def _made_anew(self, has: int) -> EventsLost:
        return EventsLost(
            f"stream {self._source.stream} was made anew: it is at {has}, this reader was at "
            f"{self.cursor.last}; read the state and start from now",
            after=self.cursor.last,
            first=has,
        )

    def _expired(self, has: int) -> EventsLost:
        return EventsLost(
            f"stream {self._source.stream} no longer has what follows {self.cursor.last} "
            f"(it begins at {has}); read the state and start from now",
            after=self.cursor.last,
            first=has,
        )


def _as_it_came(state: RetryCallState) -> object:
    assert state.outcome is not None, "tenacity calls this after an attempt"
    return state.outcome.result()
