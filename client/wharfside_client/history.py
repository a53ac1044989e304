"""Events that the stream has stored: how one is read, and where a reader begins."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import NamedTuple

from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_fixed

from wharfside_client.bus import Bus
from wharfside_client.cursor import Cursor
from wharfside_client.direct import read_last, read_page, read_pages
from wharfside_client.errors import EventsLost
from wharfside_protocol.assets import EVT
from wharfside_protocol.codec import convert, decode
from wharfside_protocol.errors import Invalid
from wharfside_protocol.event_facts import EVENT_DATA
from wharfside_protocol.events import Event
from wharfside_protocol.records import Record
from wharfside_protocol.subjects import NODE_TOKEN, Subjects
from wharfside_protocol.times import from_timestamp

LAG_S = 1.0

_log = logging.getLogger("wharfside.client")


class StoredEvent(NamedTuple):
    """`seq` is the stream's own sequence, the token to resume from; 0 where nothing stores."""

    seq: int
    event: Event


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events: `*` is any. `container="_node"` means those of the node itself."""

    node: str = "*"
    container: str = "*"
    type: str = "*"

    def stored_in(self, subjects: Subjects) -> str:
        return subjects.all_events(self.node, self.container, self.type)

    def live_in(self, subjects: Subjects) -> str:
        return subjects.live_events(self.node, self.container, self.type)


def decode_event(subjects: Subjects, subject: str, data: bytes) -> Event:
    """The event in a message.

    Raises:
        Invalid: it is none, or it tells of something other than its subject does: a
            node may publish below its own name only, so the subject is what is proven.
    """
    event = decode(data, Event)
    if subject != subjects.all_events(event.node, event.container or NODE_TOKEN, event.type):
        raise Invalid(f"an event on {subject} tells of {event.node}/{event.container}")
    return event


def facts_of(event: Event) -> Record:
    """The facts of an event's type, as their record: `Exited` of an `exited`.

    Raises:
        Invalid: the event does not carry what its type promises.
    """
    return convert(event.data, EVENT_DATA[event.type])


async def read_history(
    bus: Bus, subjects: Subjects, wanted: EventFilter, since: int | str
) -> AsyncIterator[StoredEvent]:
    """The events stored after a sequence or from a time on, up to now.

    Raises:
        EventsLost, NotSetUp: see `find_position`.
    """
    begin = await find_position(bus, subjects, since)
    async for page in read_pages(bus, EVT, wanted.stored_in(subjects), begin.last + 1):
        for message in page:
            try:
                event = decode_event(subjects, message.subject, message.data)
            except Invalid as error:
                _log.warning("no event at sequence %d: %s", message.seq, error)
            else:
                yield StoredEvent(message.seq, event)


async def find_position(bus: Bus, subjects: Subjects, since: int | str | None) -> Cursor:
    """Where to begin: after a sequence, at a time (RFC 3339), or at the stream's end (None).

    Raises:
        EventsLost: the stream does not go on from that sequence.
        NotSetUp: there is no stream; `wharfside bootstrap` makes it.
    """
    everything = subjects.all_events()
    if isinstance(since, int):
        return await _resume(bus, everything, since)
    if since is not None:
        page = await read_page(bus, EVT, everything, since, batch=1)
        if page.messages:
            return Cursor(page.messages[0].seq - 1, from_timestamp(since))
    last = await read_last(bus, EVT, everything)
    return Cursor(0) if last is None else Cursor(last.seq, from_timestamp(last.time))


async def _resume(bus: Bus, everything: str, after: int) -> Cursor:
    """A cursor after the sequence `after`, where the stream still goes on from there.

    A replica that has not got so far yet answers as a stream that was made anew: it is given LAG_S.
    """
    if after <= 0:
        return Cursor(0)
    retrying = AsyncRetrying(
        retry=retry_if_exception(lambda error: _ends_before(error, after)),
        stop=stop_after_delay(LAG_S),
        wait=wait_fixed(0.1),
        reraise=True,
    )
    return await retrying(_resume_now, bus, everything, after)


def _ends_before(error: BaseException, after: int) -> bool:
    return isinstance(error, EventsLost) and int(error.details["first"]) < after


async def _resume_now(bus: Bus, everything: str, after: int) -> Cursor:
    page = await read_page(bus, EVT, everything, after, batch=1)
    if not page.messages:
        last = await read_last(bus, EVT, everything)
        if last is not None and last.seq < after:
            raise _lost(after, last.seq)
        return Cursor(after)
    first = page.messages[0]
    if first.seq > after + 1:
        raise _lost(after, first.seq)
    return Cursor(after, from_timestamp(first.time) if first.seq == after else None)


def _lost(after: int, has: int) -> EventsLost:
    return EventsLost(
        f"the stream cannot be resumed after {after}: it has {has} (expired, or made anew); "
        "read the state and start from now",
        after=after,
        first=has,
    )
