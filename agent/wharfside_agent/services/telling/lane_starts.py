"""Where a lane's subject stands in the stream: asked of the server as seldom as is safe."""

from __future__ import annotations

import asyncio

from wharfside_agent.core.sequencing import PROBE_SEQUENCE
from wharfside_agent.ports.bus import Bus, WrongSequence
from wharfside_agent.ports.rows import LaneRow
from wharfside_agent.ports.store import Store
from wharfside_agent.services.insistence import Insistence
from wharfside_protocol.subjects import NODE_TOKEN, Subjects

MAX_REMEMBERED = 10_000
"""Lanes whose last sequence is kept in memory; older ones are asked of the store."""

NODE_BASE = "node-base"
"""Meta key: the stream's last sequence over this node when this store was new.

0: nobody ever published under this node's name, so a lane without a row needs no
probe. Otherwise a former store did, and each lane asks once for its own last one.
"""


class LaneStarts:
    """The sequence that the next event of a lane goes on top of."""

    def __init__(self, store: Store, bus: Bus, subjects: Subjects, insistence: Insistence) -> None:
        self._store = store
        self._bus = bus
        self._subjects = subjects
        self._insistence = insistence
        self._node = store.identity.node
        self._known: dict[str, int] = {}
        self._node_base: int | None = None
        self._base_lock = asyncio.Lock()

    def remember(self, lane: str, sequence: int) -> None:
        """The lane's last event is in the stream, at `sequence`."""
        self._known[lane] = sequence
        if len(self._known) > MAX_REMEMBERED:
            self._known.pop(next(iter(self._known)))

    async def expected(self, lane: str, last_acked: int | None) -> int:
        """Remembered, stored (`last_acked`), or asked of the server: then it waits for the bus.

        A stored one may be old where a younger was forgotten here: that costs one round trip.
        """
        if lane in self._known:
            return self._known[lane]
        if last_acked is not None:
            return last_acked
        if await self._base() == 0:
            return 0
        container = None if lane == NODE_TOKEN else lane
        last = await self._probe(self._subjects.events_of(self._node, container))
        # On the disk before the first publish: it must never be asked a second time, when
        # the lane's own first event might be the answer.
        await self._store.transact(
            lambda tx: tx.save_lane(LaneRow(lane=lane, last_acked=last)), durable=True
        )
        return last

    async def _base(self) -> int:
        async with self._base_lock:
            if self._node_base is None:
                known = await self._store.transact(lambda tx: tx.meta(NODE_BASE))
                self._node_base = int(known) if known is not None else await self._new_base()
        return self._node_base

    async def _new_base(self) -> int:
        base = await self._probe(self._subjects.events_of_node(self._node))
        await self._store.transact(lambda tx: tx.set_meta(NODE_BASE, str(base)), durable=True)
        return base

    async def _probe(self, scope: str) -> int:
        """The last sequence in `scope`, by a publish that can never be stored."""
        subject = self._subjects.event(self._node, None, "probe")

        async def ask() -> int:
            try:
                await self._bus.publish(
                    subject, b"", expected=PROBE_SEQUENCE, expected_subject=scope
                )
            except WrongSequence as wrong:
                return wrong.actual
            raise AssertionError("a probe is never stored")

        return await self._insistence.until_taken("probe", ask)
