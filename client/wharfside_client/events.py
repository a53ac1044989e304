"""The event stream: everything after a sequence, in order, once, across any outage."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Self

from wharfside_client.bus import Bus
from wharfside_client.direct import Stored
from wharfside_client.follow import LIVE_LIMIT, OUTAGE_S, RESYNC_S, Follower, Source
from wharfside_client.history import EventFilter, StoredEvent, decode_event, find_position
from wharfside_protocol.assets import EVT
from wharfside_protocol.errors import Invalid
from wharfside_protocol.subjects import Subjects

__all__ = ["LIVE_LIMIT", "OUTAGE_S", "RESYNC_S", "EventStream", "event_source"]

_log = logging.getLogger("wharfside.client")


def event_source(subjects: Subjects, wanted: EventFilter) -> Source:
    """The events that a filter wants, as they are stored and told."""
    return Source(
        stream=EVT,
        subject=wanted.stored_in(subjects),
        live=wanted.live_in(subjects),
        everything=subjects.all_events(),
        whole=True,
    )


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
        self._since = since
        source = event_source(subjects, wanted)
        self._follower = Follower(bus, source, resync_s=resync_s, outage_s=outage_s)

    @property
    def last_seq(self) -> int:
        """Everything up to this sequence has been told: `since` of the next stream."""
        follower = self._follower
        return follower.waiting[0].message.seq - 1 if follower.waiting else follower.cursor.last

    async def __aenter__(self) -> Self:
        """
        Raises:
            EventsLost: the stream no longer has what follows `since`.
            NotSetUp: there is no stream; `wharfside bootstrap` makes it.
        """
        await self._follower.listen()
        try:
            self._follower.begin(await find_position(self._bus, self._subjects, self._since))
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._follower.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StoredEvent:
        """
        Raises:
            EventsLost: the stream was made anew, or what is next has expired; read the
                state, and start from now.
            ServerUnreachable, Unanswered, NotSetUp: the stream could not be read for long.
        """
        while True:
            message = (await self._follower.next()).message
            event = self._event(message)
            if event is not None:
                return event

    def _event(self, message: Stored) -> StoredEvent | None:
        try:
            return StoredEvent(
                message.seq, decode_event(self._subjects, message.subject, message.data)
            )
        except Invalid as error:
            self.skipped += 1
            _log.warning("no event at sequence %d: %s", message.seq, error)
            return None
