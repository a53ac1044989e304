"""Drains the outbox to the stream: per container in order and one in flight, forever.

An event leaves the outbox only after its PubAck. Lanes run beside each other,
bounded; a lane that fails backs off alone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from wharfside_agent.core.sequencing import (
    RECOGNIZED_NS,
    SendAgain,
    Stored,
    after_wrong_sequence,
)
from wharfside_agent.ports.bus import Bus, WrongSequence
from wharfside_agent.ports.clock import Clock
from wharfside_agent.ports.rows import OutboxRow
from wharfside_agent.ports.store import Store
from wharfside_agent.ports.tracer import SpanKind
from wharfside_agent.services.insistence import Insistence
from wharfside_agent.services.shortage import insist
from wharfside_agent.services.tasks import Tasks
from wharfside_agent.services.telling.acks import Acks
from wharfside_agent.services.telling.lane_starts import LaneStarts
from wharfside_agent.services.trace import HEADER as TRACE_HEADER
from wharfside_agent.spans import span_of
from wharfside_protocol.cloudevents import to_headers
from wharfside_protocol.codec import encode
from wharfside_protocol.events import Event
from wharfside_protocol.subjects import Subjects
from wharfside_protocol.times import from_timestamp, to_timestamp

MAX_LANES = 64
"""Events in flight at once: one a lane."""

MAX_HELD = 5_000
"""Events kept in memory; the rest stays in the store until these are published."""


_stored_event = msgspec.msgpack.Decoder(Event).decode


class Publisher:
    """The only one that publishes events."""

    def __init__(
        self,
        store: Store,
        bus: Bus,
        subjects: Subjects,
        clock: Clock,
        tasks: Tasks,
        recognized_ns: int = RECOGNIZED_NS,
    ) -> None:
        self._store = store
        self._bus = bus
        self._subjects = subjects
        self._clock = clock
        self._tasks = tasks
        self._node = store.identity.node
        self._lanes: dict[str, deque[OutboxRow]] = {}
        self._slots = asyncio.Semaphore(MAX_LANES)
        self._acks = Acks(store, clock, tasks)
        self._insistence = Insistence(bus)
        self._starts = LaneStarts(store, bus, subjects, self._insistence)
        self._recognized_ns = recognized_ns
        self.published = 0
        self.found_stored = 0
        """So many had been stored by a try whose PubAck never came."""
        self._held = 0
        self._last_held = 0
        self._spilled = False
        self._replayed_through = 0
        self._acked: Callable[[str], None] = lambda _lane: None
        self.released = asyncio.Event()
        """Nothing is published while it is not set: see `hold`."""
        self.released.set()

    @property
    def wanting(self) -> str | None:
        """Why events wait, where no stream takes them: see Insistence."""
        return self._insistence.wanting

    @property
    def retries(self) -> int:
        return self._insistence.retries

    def oldest(self) -> int | None:
        """When the event that waits longest was observed (Unix, ns); None: none waits."""
        heads = [lane[0] for lane in self._lanes.values() if lane]
        if not heads:
            return None
        row = min(heads, key=lambda each: each.place)
        return from_timestamp(_stored_event(row.event).observed_at)

    def hold(self) -> None:
        """Nothing is published until `release`: a copied store must not speak for its original."""
        self.released.clear()

    def release(self) -> None:
        self.released.set()

    def on_idle(self, acked: Callable[[str], None]) -> None:
        """`acked(lane)` is called when all events of a lane have their PubAcks."""
        self._acked = acked

    async def start(self) -> None:
        """Takes up what former lives left in the outbox, then what each commit appends."""
        await self._store.transact(lambda tx: tx.tell_dropped(self._clock.now()))
        self._store.on_appended(self._offer)
        rows = await self._store.transact(lambda tx: tx.outbox(0, MAX_HELD))
        self._replayed_through = rows[-1].place if rows else 0
        self._spilled = len(rows) == MAX_HELD
        self._take(rows)

    def _offer(self, rows: Sequence[OutboxRow]) -> None:
        if self._spilled or self._held + len(rows) > MAX_HELD:
            self._spilled = True
            if self._held == 0:
                self._tasks.start(self._refill(), "publisher refill")
        else:
            self._take([row for row in rows if row.place > self._last_held])

    def _take(self, rows: Sequence[OutboxRow]) -> None:
        for row in rows:
            self._held += 1
            self._last_held = max(self._last_held, row.place)
            lane = self._lanes.get(row.lane)
            if lane is None:
                lane = self._lanes[row.lane] = deque()
                self._tasks.start(self._drain(row.lane, lane), f"publish {row.lane}")
            lane.append(row)

    async def _refill(self) -> None:
        rows = await self._store.transact(lambda tx: tx.outbox(self._last_held, MAX_HELD))
        self._spilled = len(rows) == MAX_HELD
        self._take([row for row in rows if row.place > self._last_held])

    async def _drain(self, name: str, lane: deque[OutboxRow]) -> None:
        await self.released.wait()
        begin = partial(self._starts.expected, name, lane[0].last_acked)
        expected = await insist(f"start of lane {name}", begin)
        while lane:
            await self._acks.settled(name)
            async with self._slots:
                sequence = await self._publish(lane[0], name, expected)
            row = lane.popleft()
            self.published += 1
            self._held -= 1
            expected = sequence
            self._starts.remember(name, sequence)
            self._acks.note(row, sequence)
            if self._spilled and self._held == 0:
                await self._refill()
        del self._lanes[name]
        self._acked(name)

    async def _publish(self, row: OutboxRow, lane: str, expected: int) -> int:
        event = _stored_event(row.event)
        first_try = self._clock.boottime()
        facts = {"messaging.system": "nats", "messaging.message.id": event.event_id}
        with span_of(row.trace, f"publish {event.type}", SpanKind.PRODUCER, facts) as span:
            trace = span.traceparent or row.trace
            headers = to_headers(event) | ({TRACE_HEADER: trace} if trace else {})
            return await self._insistence.until_taken(
                lane, lambda: self._send(self._stamped(row, event), headers, expected, first_try)
            )

    async def _send(
        self, event: Event, headers: dict[str, str], expected: int, first_try: int
    ) -> int:
        subject = self._subjects.event(self._node, event.container, event.type)
        scope = self._subjects.events_of(self._node, event.container)
        payload = encode(event)
        while True:
            try:
                return await self._bus.publish(
                    subject,
                    payload,
                    headers=headers,
                    message_id=event.event_id,
                    expected=expected,
                    expected_subject=scope,
                )
            except WrongSequence as wrong:
                match after_wrong_sequence(
                    expected,
                    wrong.actual,
                    age_ns=self._age_ns(event, first_try),
                    recognized_ns=self._recognized_ns,
                ):
                    case Stored(sequence):
                        self.found_stored += 1
                        return sequence
                    case SendAgain(expected):
                        continue

    def _age_ns(self, event: Event, first_try: int) -> int:
        """By the clock on the wall; since `first_try` (boot time), should that have been set."""
        age_ns = self._clock.now() - from_timestamp(event.observed_at)
        tried_ns = self._clock.boottime() - first_try
        return age_ns if age_ns < 0 else max(age_ns, tried_ns)

    def _stamped(self, row: OutboxRow, event: Event) -> Event:
        """Never published before it was observed: the clock may have been set back since."""
        now = max(self._clock.now(), from_timestamp(event.observed_at))
        return msgspec.structs.replace(
            event,
            published_at=to_timestamp(now),
            replayed=row.place <= self._replayed_through,
        )

    async def flush(self, timeout_s: float) -> bool:
        """Waits until the outbox is empty, at most so long; whether it is."""
        tasks = [t for t in asyncio.all_tasks() if t.get_name().startswith("publish ")]
        if tasks:
            await asyncio.wait(tasks, timeout=timeout_s)
        await self._acks.all_settled()
        return not self._lanes
