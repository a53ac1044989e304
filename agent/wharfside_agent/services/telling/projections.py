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
from wharfside_agent.ports.rows import ContainerRow
from wharfside_agent.ports.store import Store, Tx
from wharfside_agent.services.views import restarts, stopping, timestamp_or_none
from wharfside_protocol.assets import container_key
from wharfside_protocol.codec import encode
from wharfside_protocol.states import ContainerState
from wharfside_protocol.subjects import NODE_TOKEN
from wharfside_protocol.times import to_timestamp
from wharfside_protocol.views import ContainerProjection

log = structlog.get_logger(__name__)

GATHER_S = 0.2
"""Changes of a container within so long become one put: a short life costs one or two."""

AT_ONCE = 64
"""Puts of one round, all under way at once; what is due beyond them waits for the next."""

DELETED_TTL = "1h"
"""So long a deleted container's key tells that it is deleted; then the server drops it."""

REMOVED = {"KV-Operation": "DEL", "Nats-TTL": DELETED_TTL}

DELETED_TOLD_NS = 3600 * 1_000_000_000


class Projections:
    """Puts what the publisher says has been told, in rounds: no two puts of a key overlap."""

    def __init__(self, store: Store, bus: Bus, clock: Clock) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock
        self._due: set[str] = set()
        self._wake = asyncio.Event()

    def acked(self, lane: str) -> None:
        """All events of `lane` are stored: its projection may follow."""
        if lane != NODE_TOKEN:
            self._due.add(lane)
            self._wake.set()

    async def all_due(self) -> list[str]:
        """Every container that the store knows, deleted ones too, is put again; their names."""
        names = await self._store.transact(lambda tx: tx.names())
        self._due.update(names)
        self._wake.set()
        return names

    async def forget(self, names: list[str]) -> list[str]:
        """Removes the keys of those that the store does not know; their names.

        A container that was created meanwhile is put again after that.

        Raises:
            BusError: a removal was not taken.
        """
        node = self._store.identity.node
        unknown = await self._unknown(names)
        for name in unknown:
            await self._bus.publish(container_key(node, name), b"", headers=REMOVED)
        there = set(unknown) - set(await self._unknown(unknown))
        if there:
            self._due.update(there)
            self._wake.set()
        return [name for name in unknown if name not in there]

    async def _unknown(self, names: list[str]) -> list[str]:
        return await self._store.transact(
            lambda tx: [name for name in names if tx.last_of_name(name) is None]
        )

    async def run(self) -> None:
        """Puts what is due, for ever; what the bus does not take is read and put again."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(GATHER_S)
            async for attempt in AsyncRetrying(
                retry=retry_if_exception_type(BusError),
                wait=wait_random_exponential(multiplier=0.2, max=10),
            ):
                with attempt:
                    await self._round()

    async def _round(self) -> None:
        """Raises BusError where one was not taken; those are due again."""
        names = list(self._due)[:AT_ONCE]
        self._due.difference_update(names)
        if not self._due:
            self._wake.clear()
        latest = await self._store.transact(lambda tx: [_latest(tx, name) for name in names])
        puts = (self._put(row, seq) for row, seq in latest)
        outcomes = await asyncio.gather(*puts, return_exceptions=True)
        refusals = {
            name: error
            for name, error in zip(names, outcomes, strict=True)
            if isinstance(error, BaseException)
        }
        for name, error in refusals.items():
            if not isinstance(error, BusError):
                log.error("projection-failed", container=name, exc_info=error)
        self._try_again({n: e for n, e in refusals.items() if isinstance(e, BusError)})

    def _try_again(self, refused: dict[str, BusError]) -> None:
        if refused:
            self._due.update(refused)
            self._wake.set()
            raise next(iter(refused.values()))

    async def _put(self, row: ContainerRow | None, seq: int) -> None:
        if row is None:
            return
        payload = encode(self._projection(row, seq))
        headers = {"Nats-TTL": DELETED_TTL} if row.state is ContainerState.DELETED else {}
        if row.deleted_at is not None and row.deleted_at < self._clock.now() - DELETED_TOLD_NS:
            payload, headers = b"", headers | {"KV-Operation": "DEL"}
        key = container_key(self._store.identity.node, row.name)
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
            **restarts(row),
            labels=row.spec.labels,
            at=to_timestamp(self._clock.now()),
        )


def _latest(tx: Tx, name: str) -> tuple[ContainerRow | None, int]:
    return tx.last_of_name(name), tx.last_seq(name)
