"""PubAcks on their way into the store: gathered, so that many share one commit.

A lane never has more than one that is not committed: what a crash then loses is
just the head, and the expected-sequence rule finds it in the stream, however late.
"""

from __future__ import annotations

import asyncio
from functools import partial

from wharfside_agent.ports.clock import Clock
from wharfside_agent.ports.rows import LaneRow, OutboxRow
from wharfside_agent.ports.store import Store, Tx
from wharfside_agent.services.shortage import insist
from wharfside_agent.services.tasks import Tasks

GATHER_S = 0.02
"""A commit waits so long for company, unless a lane wants to go on."""


class _Batch:
    def __init__(self) -> None:
        self.acks: list[tuple[OutboxRow, int]] = []
        self.hurry = asyncio.Event()
        self.done = asyncio.Event()


class Acks:
    """`note` takes an ack; `settled` waits until a lane's ack is committed."""

    def __init__(self, store: Store, clock: Clock, tasks: Tasks) -> None:
        self._store = store
        self._clock = clock
        self._tasks = tasks
        self._open: _Batch | None = None
        self._batch_of: dict[str, _Batch] = {}

    def note(self, row: OutboxRow, sequence: int) -> None:
        """`row` is in the stream, at `sequence`."""
        if self._open is None:
            self._open = _Batch()
            self._tasks.start(self._commit(self._open), "outbox acks")
        self._open.acks.append((row, sequence))
        self._batch_of[row.lane] = self._open

    async def settled(self, lane: str) -> None:
        """Before the lane's next event is published."""
        batch = self._batch_of.get(lane)
        if batch is not None:
            batch.hurry.set()
            await batch.done.wait()

    async def all_settled(self) -> None:
        """Everything noted so far is committed."""
        for lane in list(self._batch_of):
            await self.settled(lane)

    async def _commit(self, batch: _Batch) -> None:
        await _at_most(batch.hurry, GATHER_S)
        self._open = None
        await insist("PubAcks", partial(self._forgotten, batch))
        for row, _sequence in batch.acks:
            if self._batch_of.get(row.lane) is batch:
                del self._batch_of[row.lane]
        batch.done.set()

    async def _forgotten(self, batch: _Batch) -> None:
        now = self._clock.now()
        await self._store.transact(lambda tx: _forget(tx, batch, now))


async def _at_most(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return


def _forget(tx: Tx, batch: _Batch, now: int) -> None:
    for row, sequence in batch.acks:
        tx.forget_event(row.place)
        tx.save_lane(LaneRow(lane=row.lane, last_acked=sequence))
    tx.tell_dropped(now)
