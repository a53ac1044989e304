"""The event stream: everything after a sequence, in order, once, across any outage.

Subscribe first, then read: what the live subscription misses is read from the
stream, what it tells twice is dropped. A reader that is too slow for the live
messages falls back to reading pages; nothing is held but one page and one
bounded buffer.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from types import TracebackType
from typing import Self

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
from wharfside_client.direct import Page, Stored, read_page, stored
from wharfside_client.errors import EventsLost, NotSetUp, ServerUnreachable, Unanswered
from wharfside_client.history import EventFilter, StoredEvent, decode_event, find_position
from wharfside_client.messages import Message
from wharfside_protocol.assets import EVT
from wharfside_protocol.errors import Denied, Invalid
from wharfside_protocol.subjects import Subjects
from wharfside_protocol.times import from_timestamp

LIVE_LIMIT = 1024
"""Live messages held for a slow reader; beyond it they are read from the stream again."""
RESYNC_S = 10.0
"""After so long without a live message the stream is asked: one may have been missed."""
OUTAGE_S = 300.0
"""So long a stream that cannot be read is tried again before the reader is told."""

_log = logging.getLogger("wharfside.client")


class EventStream:
    """Events from WHARFSIDE_EVT; use it as a context, then iterate.

    Once the context is entered, every event stored from then on is told.

    Attributes:
        skipped: messages that were no events (each is logged).
    """

    def __init__(
        self,
        bus: Bus,
        subjects: Subjects,
        wanted: EventFilter,
        since: int | str | None,
        *,
        resync_s: float = RESYNC_S,
        outage_s: float = OUTAGE_S,
    ) -> None:
        self.skipped = 0
        self._bus = bus
        self._subjects = subjects
        self._subject = wanted.stored_in(subjects)
        self._live_subject = wanted.live_in(subjects)
        self._since = since
        self._resync_s = resync_s
        self._outage_s = outage_s
        self._cursor = Cursor(0)
        self._live: deque[Message] = deque()
        self._ready: deque[StoredEvent] = deque()
        self._wake = asyncio.Event()
        self._unread = False
        self._tap: Tap | None = None

    @property
    def last_seq(self) -> int:
        """Everything up to this sequence has been told: `since` of the next stream."""
        return self._ready[0].seq - 1 if self._ready else self._cursor.last

    async def __aenter__(self) -> Self:
        """
        Raises:
            EventsLost: the stream no longer has what follows `since`.
            NotSetUp: there is no stream; `wharfside bootstrap` makes it.
        """
        self._tap = await self._bus.subscribe(self._live_subject, self._ring)
        self._bus.listeners.add(self._look_again)
        try:
            self._cursor = await find_position(self._bus, self._subjects, self._since)
        except BaseException:
            await self.aclose()
            raise
        self._unread = True
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        self._bus.listeners.discard(self._look_again)
        if self._tap is not None:
            await self._tap.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StoredEvent:
        """
        Raises:
            EventsLost: the stream was made anew; read the state, and start from now.
            ServerUnreachable, Unanswered, NotSetUp: the stream could not be read for long.
        """
        while not self._ready:
            if self._unread or self._cursor.behind:
                await self._catch_up()
            elif self._live:
                self._take_live(self._live.popleft())
            else:
                await self._wait_for_bell()
        return self._ready.popleft()

    def _ring(self, message: Message) -> None:
        if len(self._live) < LIVE_LIMIT:
            self._live.append(message)
        else:
            self._unread = True
        self._wake.set()

    def _look_again(self) -> None:
        self._unread = True
        self._wake.set()

    async def _wait_for_bell(self) -> None:
        if self._tap is not None and self._tap.denied:
            raise Denied(
                f"this NATS user may not listen on {self._live_subject}", rule="nats-subscription"
            )
        self._wake.clear()
        try:
            async with asyncio.timeout(self._resync_s):
                await self._wake.wait()
        except TimeoutError:
            self._unread = True

    def _take_live(self, message: Message) -> None:
        rung = stored(message)
        try:
            if self._cursor.ring(rung.seq, from_timestamp(rung.time)):
                self._hand_on(rung)
        except SequenceReset as error:
            raise EventsLost(
                f"the event stream was made anew: it is at {rung.seq}, this reader was at "
                f"{self._cursor.last}; read the state and start from now",
                after=self._cursor.last,
                first=rung.seq,
            ) from error

    async def _catch_up(self) -> None:
        """Reads one page after the cursor; again, where what has rung is not in it yet.

        A replica that answers direct gets may lag behind the one that republished.
        """
        self._unread = False
        page: Page = await self._retrying()(self._read_next)
        self._unread = self._unread or page.pending > 0
        for message in page.messages:
            if self._cursor.take(message.seq, from_timestamp(message.time)):
                self._hand_on(message)

    def _retrying(self) -> AsyncRetrying:
        return AsyncRetrying(
            retry=retry_if_exception_type((ServerUnreachable, Unanswered, NotSetUp))
            | retry_if_result(lambda page: self._cursor.behind and not page.messages),
            wait=wait_exponential(multiplier=0.05, max=2.0),
            stop=stop_after_delay(self._outage_s),
            retry_error_callback=_as_it_came,
        )

    async def _read_next(self) -> Page:
        return await read_page(self._bus, EVT, self._subject, self._cursor.last + 1)

    def _hand_on(self, message: Stored) -> None:
        try:
            event = decode_event(self._subjects, message.subject, message.data)
        except Invalid as error:
            self.skipped += 1
            _log.warning("no event at sequence %d: %s", message.seq, error)
        else:
            self._ready.append(StoredEvent(message.seq, event))


def _as_it_came(state: RetryCallState) -> Page:
    assert state.outcome is not None, "tenacity calls this after an attempt"
    page: Page = state.outcome.result()
    return page
