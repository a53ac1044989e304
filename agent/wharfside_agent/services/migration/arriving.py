"""The target's work: what each effect of core.migration's target table comes to.

What only the container knows is `Coming`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import structlog

from wharfside_agent.core.migration import OVER, Effect, Heard, Target, target_step
from wharfside_agent.errors import told
from wharfside_agent.ports.rows import Arrival
from wharfside_agent.ports.store import Tx
from wharfside_agent.services.migration.effects import AGAIN_S, until_done
from wharfside_agent.services.migration.ends import Coming
from wharfside_agent.services.migration.ledger import Ledger, Work
from wharfside_agent.services.migration.means import Means
from wharfside_agent.services.migration.receiving import Receiving
from wharfside_protocol.carriage import NeverHere, RunsHere
from wharfside_protocol.errors import Canceled, WharfsideError

log = structlog.get_logger(__name__)


class Arriving:
    """services.migration.ledger.End."""

    unknown = "no migration {} comes to this node: `migrations` lists them"

    def __init__(
        self,
        means: Means,
        receiving: Receiving,
        coming: Coming,
        reached: Callable[[Target], None],
    ) -> None:
        self._means = means
        self._receiving = receiving
        self._coming = coming
        self._reached = reached
        self.ledger = Ledger(self, means.store, means.tasks)

    def ids(self, row: Arrival) -> dict[str, str]:
        """What each word bears."""
        return {"a_id": row.source_id, "b_id": self._means.node_id}

    def stored(self, tx: Tx) -> Sequence[Arrival]:
        return tx.arrivals()

    def save(self, tx: Tx, row: Arrival) -> None:
        tx.save_arrival(row)

    def step(
        self, row: Arrival, heard: Heard, changes: Mapping[str, Any]
    ) -> tuple[Arrival, tuple[Effect, ...]]:
        state, effects = target_step(row.state, heard)
        if state is row.state:
            return row, effects
        over_at = self._means.clock.now() if state in OVER else None
        return msgspec.structs.replace(row, state=state, over_at=over_at, **changes), effects

    def changed(self, row: Arrival) -> None:
        self._reached(row.state)

    def work(self, row: Arrival, effect: Effect, *, again: bool) -> Work | None:
        match effect:
            case Effect.RESTORE if self.ledger.effects.running(row.id, effect) is not None:
                return None  # one that is under way is not begun a second time
            case Effect.RESTORE:
                return self._restore_again(row) if again else self._restore(row)
            case Effect.SAY_RESTORED:
                return self._say_restored(row.id)
            case Effect.SAY_FAILED:
                return None if again else self._say_failed(row)  # a source that waits asks
            case Effect.DROP_IMAGE:
                return self._drop_image(row)
            case Effect.END:
                return self._end(row)
            case _:
                raise AssertionError(f"{effect} is the source's")

    async def _restore(self, row: Arrival) -> None:
        began = self._means.clock.now()
        try:
            restored = await self._coming.restore(row)
        except Exception as error:
            log.warning("not-restored", migration=row.id, exc_info=error)
            await self.ledger.feed(row.id, Heard.NOT_STARTED, failure=told(error).to_body())
            return
        took = max(0, self._means.clock.now() - began) // 1000
        await self._started(restored, took)

    async def _restore_again(self, row: Arrival) -> None:
        found = await self._coming.found(row)
        if found is None:
            why = Canceled("the target's agent died during the restore", stage="running")
            await self.ledger.feed(row.id, Heard.NOT_STARTED, failure=why.to_body())
        else:
            await self._started(found, 0)

    async def _started(self, row: Arrival, took_us: int) -> None:
        facts = {"incarnation": row.incarnation, "run": row.run, "restore_us": took_us}
        await self.ledger.feed(row.id, Heard.STARTED, **facts)

    async def _end(self, row: Arrival) -> None:
        restoring = self.ledger.effects.running(row.id, Effect.RESTORE)
        if restoring is not None:
            await asyncio.wait([restoring])
        await until_done("not-ended", row.id, lambda: self._coming.end(self.ledger[row.id]))
        why = Canceled("revoked: it runs on its source again", stage="running")
        await self.ledger.feed(row.id, Heard.ENDED, failure=why.to_body())

    async def _say_restored(self, migration: str) -> None:
        waits = iter(AGAIN_S)
        while (row := self.ledger[migration]).state is Target.RESTORED:
            word = RunsHere(
                **self.ids(row),
                incarnation=row.incarnation or "",
                run=row.run,
                restore_us=row.restore_us,
            )
            await self._means.carriage.mention(row.source, row.id, word)
            await self._means.carriage.nap(next(waits, AGAIN_S[-1]))

    async def _say_failed(self, row: Arrival) -> None:
        error = row.failure or Canceled("it does not run here", stage="running").to_body()
        word = NeverHere(**self.ids(row), error=error)
        await self._means.carriage.mention(row.source, row.id, word)

    async def _drop_image(self, row: Arrival) -> None:
        try:
            await self._receiving.discard(row.id)
            if row.image is not None:
                await self._means.images.delete(*row.image)
        except (WharfsideError, OSError) as error:
            log.warning("image-not-dropped", migration=row.id, why=str(error))
