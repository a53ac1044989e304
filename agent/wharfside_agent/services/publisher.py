"""Drains the outbox to the stream: per container in order and one in flight, forever.

An event leaves the outbox only after its PubAck. Lanes run beside each other,
bounded; a lane that fails backs off alone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

import msgspec
import structlog
from tenacity import AsyncRetrying, retry_if_exception_type, wait_random_exponential

from wharfside_agent.core.sequencing import PROBE_SEQUENCE, SendAgain, Stored, after_wrong_sequence
from wharfside_agent.ports.bus import Bus, NoStream, Offline, Undecided, WrongSequence
from wharfside_agent.ports.clock import Clock
from wharfside_agent.ports.store import LaneRow, OutboxRow, Store
from wharfside_agent.services.acks import Acks
from wharfside_agent.services.tasks import Tasks
from wharfside_agent.services.trace import HEADER as TRACE_HEADER
from wharfside_protocol.cloudevents import to_headers
from wharfside_protocol.codec import decode, encode
from wharfside_protocol.events import Event
from wharfside_protocol.subjects import NODE_TOKEN, Subjects
from wharfside_protocol.times import to_timestamp

log = structlog.get_logger(__name__)

MAX_LANES = 64
"""Events in flight at once: one a lane."""

MAX_HELD = 5_000
"""Events kept in memory; the rest stays in the store until these are published."""

MAX_REMEMBERED = 10_000
"""Lanes whose last sequence is kept in memory; older ones are asked of the store."""

NODE_BASE = "node-base"
"""Meta key: the stream's last sequence over this node when this store was new.

0: nobody ever published under this node's name, so a lane without a row needs no
probe. Otherwise a former store did, and each lane asks once for its own last one.
"""

_AGAIN = (Undecided, NoStream, Offline)


class Publisher:
    """The only one that publishes events."""

    def __init__(
        self, store: Store, bus: Bus, subjects: Subjects, clock: Clock, tasks: Tasks
    ) -> None:
        self._store = store
        self._bus = bus
        self._subjects = subjects
        self._clock = clock
        self._tasks = tasks
        self._node = store.identity.node
        self._lanes: dict[str, deque[OutboxRow]] = {}
        self._slots = asyncio.Semaphore(MAX_LANES)
        self._sequences: dict[str, int] = {}
        self._acks = Acks(store, tasks)
        self._held = 0
        self._last_held = 0
        self._spilled = False
        self._replayed_through = 0
        self._node_base: int | None = None
        self._base_lock = asyncio.Lock()
        self._bus_back: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._acked: Callable[[str], None] = lambda _lane: None
        self.no_stream = False

    def on_idle(self, acked: Callable[[str], None]) -> None:
        """`acked(lane)` is called when all events of a lane have their PubAcks."""
        self._acked = acked

    async def start(self) -> None:
        """Takes up what former lives left in the outbox, then what each commit appends."""
        self._bus.on_connected(self._wake)
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
        expected = await self._expected(name)
        while lane:
            await self._acks.settled(name)
            async with self._slots:
                sequence = await self._publish(lane[0], name, expected)
            row = lane.popleft()
            self._held -= 1
            expected = sequence
            self._remember(name, sequence)
            self._acks.note(row, sequence)
            if self._spilled and self._held == 0:
                await self._refill()
        del self._lanes[name]
        self._acked(name)

    def _remember(self, lane: str, sequence: int) -> None:
        self._sequences[lane] = sequence
        if len(self._sequences) > MAX_REMEMBERED:
            self._sequences.pop(next(iter(self._sequences)))

    async def _publish(self, row: OutboxRow, name: str, expected: int) -> int:
        event = decode(row.event, Event)
        scope = self._subjects.events_of(self._node, event.container)
        subject = self._subjects.event(self._node, event.container, event.type)
        headers = to_headers(event) | ({TRACE_HEADER: row.trace} if row.trace else {})
        async for attempt in self._attempts(name):
            with attempt:
                payload = encode(self._stamped(row, event))
                while True:
                    try:
                        sequence = await self._bus.publish(
                            subject,
                            payload,
                            headers=headers,
                            message_id=event.event_id,
                            expected=expected,
                            expected_subject=scope,
                        )
                    except WrongSequence as wrong:
                        match after_wrong_sequence(expected, wrong.actual):
                            case Stored(sequence):
                                return sequence
                            case SendAgain(expected):
                                continue
                    self.no_stream = False
                    return sequence
        raise AssertionError("retries never end")

    def _attempts(self, name: str) -> AsyncRetrying:
        """For ever, with a spread: the outbox keeps what the bus does not take (rule 8)."""

        def tell(state: object) -> None:
            error = state.outcome.exception()  # type: ignore[attr-defined]
            self.no_stream = isinstance(error, NoStream)
            say = log.debug if isinstance(error, Offline) else log.warning
            say("event-not-published", lane=name, error=repr(error))

        return AsyncRetrying(
            retry=retry_if_exception_type(_AGAIN),
            wait=wait_random_exponential(multiplier=0.1, max=5),
            sleep=self._nap,
            before_sleep=tell,
        )

    async def _nap(self, seconds: float) -> None:
        """Until it is time to try again, or the bus is back."""
        await asyncio.wait({self._bus_back}, timeout=seconds)

    def _wake(self) -> None:
        self._bus_back.set_result(None)
        self._bus_back = asyncio.get_running_loop().create_future()

    def _stamped(self, row: OutboxRow, event: Event) -> Event:
        return msgspec.structs.replace(
            event,
            published_at=to_timestamp(self._clock.now()),
            replayed=row.place <= self._replayed_through,
        )

    async def _expected(self, name: str) -> int:
        if name in self._sequences:
            return self._sequences[name]
        lane = await self._store.transact(lambda tx: tx.lane(name))
        if lane is not None and lane.last_acked is not None:
            return lane.last_acked
        base = await self._base()
        if base == 0:
            return 0
        last = await self._probe(None if name == NODE_TOKEN else name, name)
        await self._store.transact(
            lambda tx: tx.save_lane(LaneRow(lane=name, last_acked=last)), durable=True
        )
        return last

    async def _base(self) -> int:
        """See NODE_BASE; asked of the stream once in the life of a store."""
        async with self._base_lock:
            if self._node_base is None:
                known = await self._store.transact(lambda tx: tx.meta(NODE_BASE))
                self._node_base = int(known) if known is not None else await self._new_base()
        return self._node_base

    async def _new_base(self) -> int:
        base = await self._probe(None, NODE_TOKEN, whole_node=True)
        await self._store.transact(lambda tx: tx.set_meta(NODE_BASE, str(base)), durable=True)
        return base

    async def _probe(self, container: str | None, name: str, whole_node: bool = False) -> int:
        """The last sequence in scope, by a publish that can never be stored."""
        scope = self._subjects.events_of(self._node, container)
        if whole_node:
            scope = scope.replace(f".{NODE_TOKEN}.", ".")
        subject = self._subjects.event(self._node, container, "probe")
        async for attempt in self._attempts(name):
            with attempt:
                try:
                    await self._bus.publish(
                        subject, b"", expected=PROBE_SEQUENCE, expected_subject=scope
                    )
                except WrongSequence as wrong:
                    return wrong.actual
        raise AssertionError("a probe is never stored")

    async def flush(self, timeout_s: float) -> bool:
        """Waits until the outbox is empty, at most so long; whether it is."""
        tasks = [t for t in asyncio.all_tasks() if t.get_name().startswith("publish ")]
        if tasks:
            await asyncio.wait(tasks, timeout=timeout_s)
        await self._acks.all_settled()
        return not self._lanes
