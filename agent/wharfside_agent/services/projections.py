"""The latest state of each container under its key in WHARFSIDE_CONTAINERS.

A projection follows its event's PubAck, and can be rebuilt at any time. Changes
that come close together share one put: the value is the latest state anyway.
"""

from __future__ import annotations

import asyncio

import structlog
from tenacity import AsyncRetrying, retry_if_exception_type, wait_random_exponential

from wharfside_agent.ports.bus import Bus, BusError
from wharfside_agent.ports.clock import Clock
from wharfside_agent.ports.store import ContainerRow, Store, Tx
from wharfside_agent.services.tasks import Tasks
from wharfside_agent.services.views import stopping, timestamp_or_none
from wharfside_protocol.assets import container_key
from wharfside_protocol.codec import encode
from wharfside_protocol.states import ContainerState
from wharfside_protocol.subjects import NODE_TOKEN
from wharfside_protocol.times import to_timestamp
from wharfside_protocol.views import ContainerProjection

log = structlog.get_logger(__name__)

GATHER_S = 0.05
"""Changes of one container within so long become one put."""

DELETED_TTL = "1h"
"""So long a deleted container's key tells that it is deleted; then the server drops it."""


class Projections:
    """Puts what the publisher says has been told."""

    def __init__(self, store: Store, bus: Bus, clock: Clock, tasks: Tasks) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock
        self._tasks = tasks
        self._waiting: set[str] = set()

    def acked(self, lane: str) -> None:
        """All events of `lane` are stored: its projection may follow."""
        if lane != NODE_TOKEN and lane not in self._waiting:
            self._waiting.add(lane)
            self._tasks.start(self._put_soon(lane), f"projection of {lane}")

    async def _put_soon(self, name: str) -> None:
        await asyncio.sleep(GATHER_S)
        self._waiting.discard(name)
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(BusError),
            wait=wait_random_exponential(multiplier=0.2, max=10),
        ):
            with attempt:
                await self._put(name)

    async def _put(self, name: str) -> None:
        row, seq = await self._store.transact(lambda tx: _latest(tx, name))
        if row is None:
            return
        payload = encode(self._projection(row, seq))
        headers = {"Nats-TTL": DELETED_TTL} if row.state is ContainerState.DELETED else {}
        key = container_key(self._store.identity.node, name)
        await self._bus.publish(key, payload, headers=headers)

    def _projection(self, row: ContainerRow, seq: int) -> ContainerProjection:
        identity = self._store.identity
        return ContainerProjection(
            node=identity.node,
            container=row.name,
            incarnation=row.incarnation,
            run=row.run,
            revision=row.revision,
            epoch=identity.epoch,
            seq=seq,
            state=row.state,
            stopping=stopping(row),
            pid=row.pid if row.state.live else None,
            started_at=timestamp_or_none(row.started_at),
            exit=row.exit,
            labels=row.spec.labels,
            at=to_timestamp(self._clock.now()),
        )


def _latest(tx: Tx, name: str) -> tuple[ContainerRow | None, int]:
    return tx.last_of_name(name), tx.last_seq(name)
