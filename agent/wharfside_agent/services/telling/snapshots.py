"""The node's `snapshot` event: how far it has published, and a hash of what it has.

It is made and appended in one transaction: it tells of the store as it was after every
event with a lower seq.
"""

from __future__ import annotations

import asyncio

import structlog

from wharfside_agent.ports.clock import Clock
from wharfside_agent.ports.rows import EventDraft
from wharfside_agent.ports.store import Store, Tx
from wharfside_agent.services.shortage import insist
from wharfside_protocol.event_facts import Snapshot, facts
from wharfside_protocol.events import EventType
from wharfside_protocol.inventory import inventory_hash
from wharfside_protocol.states import ContainerState

log = structlog.get_logger(__name__)


class Snapshots:
    def __init__(self, store: Store, clock: Clock, every_s: float) -> None:
        self._store = store
        self._clock = clock
        self._every_s = every_s

    def pace(self, every_s: float) -> None:
        """After the next one."""
        self._every_s = every_s

    async def run(self) -> None:
        """At the start, and every so often, for ever."""
        while True:
            await insist("snapshot", self.tell)
            await asyncio.sleep(self._every_s)

    async def tell(self, cause: str | None = None) -> Snapshot:
        """What was told."""
        now = self._clock.now()
        return await self._store.transact(lambda tx: _append(tx, now, cause))


def _append(tx: Tx, now: int, cause: str | None) -> Snapshot:
    rows = [row for row in tx.containers() if row.state is not ContainerState.CREATING]
    snapshot = Snapshot(
        published_through=tx.published_through(),
        containers=len(rows),
        inventory_hash=inventory_hash(
            (row.name, row.incarnation, row.run, row.revision, str(row.state)) for row in rows
        ),
    )
    type_ = EventType.SNAPSHOT
    tx.append_event(
        EventDraft(type=type_, occurred_at=now, observed_at=now, cause=cause, data=facts(snapshot))
    )
    return snapshot
