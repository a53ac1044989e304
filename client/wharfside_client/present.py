"""Reading how a fleet stands now, from what the bus has stored.

The buckets tell nearly all of it. A projection follows its event a moment later, or
much later where an agent died in between; so each container's last event is read
too, and where that is newer, its history decides.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field

from wharfside_client.bus import Bus
from wharfside_client.changes import Place
from wharfside_client.cursor import Cursor
from wharfside_client.direct import Stored, read_last, read_pages
from wharfside_client.fleet import CONCURRENCY
from wharfside_client.folding import Entry, fold_event, stamp
from wharfside_client.follow import Source
from wharfside_client.history import decode_event, find_position
from wharfside_client.picture import WatchFilter
from wharfside_protocol.assets import CONTAINERS_BUCKET, EVT, NODES_BUCKET, container_key, node_key
from wharfside_protocol.codec import decode
from wharfside_protocol.errors import Invalid
from wharfside_protocol.events import Event
from wharfside_protocol.subjects import Subjects
from wharfside_protocol.times import NANOSECONDS, from_timestamp, to_timestamp
from wharfside_protocol.views import ContainerProjection, NodeInfo

YOUNG_S = 10.0
"""A container that no bucket has yet has told an event within so long before."""


@dataclass(slots=True)
class Present:
    """
    Attributes:
        events, nodes_at, containers_at: where to follow on in the stream and the buckets.
        nodes: each node's presence with the server's time of it.
        views: deleted ones are among them, as far as they are remembered.
        last: the last event of a container, as far as it was read.
    """

    events: Cursor
    nodes_at: Cursor = field(default_factory=lambda: Cursor(0))
    containers_at: Cursor = field(default_factory=lambda: Cursor(0))
    nodes: list[tuple[NodeInfo, str]] = field(default_factory=list)
    views: dict[Place, ContainerProjection] = field(default_factory=dict)
    last: dict[Place, Event] = field(default_factory=dict)


def nodes_source(subjects: Subjects, wanted: WatchFilter) -> Source:
    subject = f"$KV.{NODES_BUCKET}"
    return Source(
        stream=f"KV_{NODES_BUCKET}",
        subject=f"{subject}.{wanted.node}",
        live=subjects.live_nodes(wanted.node),
        everything=f"{subject}.>",
        whole=False,
    )


def containers_source(subjects: Subjects, wanted: WatchFilter) -> Source:
    subject = f"$KV.{CONTAINERS_BUCKET}"
    return Source(
        stream=f"KV_{CONTAINERS_BUCKET}",
        subject=f"{subject}.{wanted.node}.*",
        live=subjects.live_containers(wanted.node),
        everything=f"{subject}.>",
        whole=False,
    )


class Reader:
    """Reads the part of a fleet that is wanted."""

    def __init__(self, bus: Bus, subjects: Subjects, wanted: WatchFilter) -> None:
        self._bus = bus
        self._subjects = subjects
        self._wanted = wanted

    async def now(self, known: Iterable[Place] = ()) -> Present:
        """How it stands; `known` places are looked at, too, where the buckets have none.

        Raises:
            NotSetUp: a stream or bucket is missing; `wharfside bootstrap` makes it.
        """
        everything = self._subjects.all_events(self._wanted.node)
        last = await read_last(self._bus, EVT, self._subjects.all_events())
        present = Present(Cursor(0) if last is None else _cursor(last))
        await self._read_buckets(present)
        places = {*present.views, *known}
        if last is not None:
            async for _seq, event in self._events(everything, await self._young(last)):
                places |= _place(event)
        await self._settle(present, places)
        return present

    async def at(self, since: int) -> Present:
        """How it stood after the event `since`, as far as the stream still tells.

        Raises:
            EventsLost: the stream does not go on from there.
            NotSetUp: see `now`.
        """
        present = Present(await find_position(self._bus, self._subjects, since))
        await self._read_buckets(present)
        touched, before = set[Place](), set(present.views)
        everything = self._subjects.all_events(self._wanted.node)
        last = await read_last(self._bus, EVT, self._subjects.all_events())
        begin = since if last is None else min(since, await self._young(last))
        async for seq, event in self._events(everything, begin):
            (touched if seq > since else before).update(_place(event))
        await self._settle(present, before - touched)
        for place in touched:
            present.views.pop(place, None)
            view = await self.history(place, None, until=since)
            if view is not None:
                present.views[place] = view
        return present

    async def _young(self, last: Stored) -> int:
        """Behind which sequence events may have come whose projections have not."""
        before = from_timestamp(last.time) - int(YOUNG_S * NANOSECONDS)
        begin = await find_position(self._bus, self._subjects, to_timestamp(max(before, 0)))
        return begin.last

    async def history(
        self, place: Place, view: ContainerProjection | None, *, until: int | None = None
    ) -> ContainerProjection | None:
        """`view` with all events of this place that are newer, up to the sequence `until`."""
        entry = Entry(view)
        async for seq, event in self._events(self._subjects.events_of(*place), 0):
            if until is not None and seq > until:
                break
            entry, _changes = fold_event(entry, event, seq)
        return entry.view

    async def last_event(self, place: Place) -> tuple[int, Event] | None:
        last = await read_last(self._bus, EVT, self._subjects.events_of(*place))
        event = None if last is None else event_in(self._subjects, last)
        return None if last is None or event is None else (last.seq, event)

    async def presence(self, node: str) -> Stored | None:
        """The last put of a node, as the server has it."""
        return await read_last(self._bus, f"KV_{NODES_BUCKET}", node_key(node))

    async def _read_buckets(self, present: Present) -> None:
        nodes = nodes_source(self._subjects, self._wanted)
        async for message in self._values(nodes, present.nodes_at):
            info = presence_in(message)
            if info is not None:
                present.nodes.append((info, message.time))
        containers = containers_source(self._subjects, self._wanted)
        async for message in self._values(containers, present.containers_at):
            view = projection_in(message)
            if view is not None:
                present.views[Place(view.node, view.container)] = view

    async def _values(self, source: Source, cursor: Cursor) -> AsyncIterator[Stored]:
        async for page in read_pages(self._bus, source.stream, source.subject):
            for message in page:
                cursor.take(message.seq, from_timestamp(message.time))
                yield message

    async def _events(self, subject: str, after: int) -> AsyncIterator[tuple[int, Event]]:
        async for page in read_pages(self._bus, EVT, subject, after + 1):
            for message in page:
                event = event_in(self._subjects, message)
                if event is not None:
                    yield message.seq, event

    async def _settle(self, present: Present, places: Iterable[Place]) -> None:
        """Each of `places` as its last event tells it, where that is newer than the bucket."""
        turn = asyncio.Semaphore(CONCURRENCY)

        async def settle(place: Place) -> None:
            async with turn:
                view = present.views.get(place)
                last = await self.last_event(place)
                if last is not None:
                    present.last[place] = last[1]
                    if view is None or stamp(last[1]) > stamp(view):
                        view = await self.history(place, view)
                if view is not None:
                    present.views[place] = view

        await asyncio.gather(*(settle(place) for place in places))


def event_in(subjects: Subjects, message: Stored) -> Event | None:
    """None for what is no event."""
    try:
        return decode_event(subjects, message.subject, message.data)
    except Invalid:
        return None


def presence_in(message: Stored) -> NodeInfo | None:
    """None for a deleted key, and for what is no presence of the node whose key it is."""
    try:
        info = decode(message.data, NodeInfo)
    except Invalid:
        return None
    return info if message.subject == node_key(info.node) else None


def projection_in(message: Stored) -> ContainerProjection | None:
    """None for what is no projection of the container whose key it is."""
    try:
        view = decode(message.data, ContainerProjection)
    except Invalid:
        return None
    return view if message.subject == container_key(view.node, view.container) else None


def _cursor(last: Stored) -> Cursor:
    return Cursor(last.seq, from_timestamp(last.time))


def _place(event: Event) -> set[Place]:
    return set() if event.container is None else {Place(event.node, event.container)}
