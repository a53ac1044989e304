"""The source's work: what each effect of core.migration's source table comes to.

What only the container knows (dump, delete, restore in place) is `Leaving`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import structlog

from wharfside_agent.core.migration import OVER, Effect, Heard, Source, source_step
from wharfside_agent.errors import told
from wharfside_agent.ports.bus import BusError
from wharfside_agent.ports.images import Outgoing
from wharfside_agent.ports.rows import Departure
from wharfside_agent.ports.store import Tx
from wharfside_agent.services.migration.effects import AGAIN_S, until_done
from wharfside_agent.services.migration.ends import Leaving
from wharfside_agent.services.migration.ledger import Ledger, Work
from wharfside_agent.services.migration.means import Means
from wharfside_agent.services.migration.milestones import Milestone
from wharfside_agent.services.migration.sending import Sending
from wharfside_protocol.carriage import GiveUp, Go, Offer, Piece, Revoke, Settle, Word
from wharfside_protocol.checkpoints import Phase
from wharfside_protocol.errors import Canceled, ErrorBody, from_body
from wharfside_protocol.times import NANOSECONDS

log = structlog.get_logger(__name__)

Tell = Callable[[Departure, Phase, int, int], None]
"""(which, what is done now, bytes done, of so many)."""

GONE_KEPT = 28 * 86_400 * NANOSECONDS
"""Longer than others: the target may be away when it is told that all is well."""

_TOLD_ONCE: dict[Effect, type[GiveUp | Settle | Revoke]] = {
    Effect.SAY_GIVE_UP: GiveUp,
    Effect.SAY_SETTLE: Settle,
    Effect.SAY_REVOKE: Revoke,
}


def given_up(row: Departure, why: ErrorBody) -> Departure:
    """One in `DUMPING` that is to go no further; also over a death."""
    wanted = row.state is Source.DUMPING and row.failure is None
    return msgspec.structs.replace(row, failure=why) if wanted else row


class Departing:
    """services.migration.ledger.End."""

    unknown = "no migration {} leaves this node: `migrations` lists them"

    def __init__(
        self,
        means: Means,
        leaving: Leaving,
        reached: Callable[[Source], None],
        tell: Tell,
    ) -> None:
        self._means = means
        self._leaving = leaving
        self._reached = reached
        self._tell = tell
        self._sendings: dict[str, Sending] = {}
        self.left_home = Milestone(lambda row: row.state is not Source.DUMPING)
        self.outcome = Milestone(lambda row: row.state in OVER)
        self.ledger = Ledger(self, means.store, means.tasks)

    def sending(self, migration: str) -> Sending | None:
        """What carries the image, while something does."""
        return self._sendings.get(migration)

    def stored(self, tx: Tx) -> Sequence[Departure]:
        return tx.departures()

    def save(self, tx: Tx, row: Departure) -> None:
        tx.save_departure(row)

    def step(
        self, row: Departure, heard: Heard, changes: Mapping[str, Any]
    ) -> tuple[Departure, tuple[Effect, ...]]:
        state, effects = source_step(row.state, heard)
        if state is row.state:
            return row, effects
        over_at = self._kept_from(state, heard)
        return msgspec.structs.replace(row, state=state, over_at=over_at, **changes), effects

    def _kept_from(self, state: Source, heard: Heard) -> int | None:
        """One that an operator has decided is never forgotten: its target may come back."""
        if state is Source.GONE:
            return self._means.clock.now() + GONE_KEPT
        return self._means.clock.now() if state in OVER and heard is not Heard.B_IS_DEAD else None

    def changed(self, row: Departure) -> None:
        """What belonged to the state before is over."""
        self._reached(row.state)
        self._sendings.pop(row.id, None)
        self.ledger.effects.cancel(row.id, Effect.CARRY, Effect.SAY_GO)
        self.left_home.look(row)
        self.outcome.look(row)

    def work(self, row: Departure, effect: Effect, *, again: bool) -> Work | None:
        match effect:
            case Effect.DUMP:
                return self._dump_again(row) if again else self._dump(row)
            case Effect.CARRY:
                return self._carry(row)
            case Effect.SAY_GO:
                return self._say_go(row.id)
            case Effect.DELETE:
                return self._delete(row)
            case Effect.REVIVE:
                return self._revive(row)
            case _:
                self._mention(row, _TOLD_ONCE[effect])
                return None

    def _mention(self, row: Departure, kind: type[GiveUp | Settle | Revoke]) -> None:
        """A task of its own for each, since a later word does not take an earlier one's place."""
        work = self._means.carriage.mention(row.target, row.id, kind(**self._ids(row)))
        self._means.tasks.start(work, f"{kind.__name__} of {row.id}")

    def _ids(self, row: Departure) -> dict[str, str]:
        return {"a_id": self._means.node_id, "b_id": row.target_id}

    async def _dump(self, row: Departure) -> None:
        try:
            frozen_at, size = await self._leaving.dump(row)
        except asyncio.CancelledError:
            await asyncio.shield(self._dump_again(row))
        except Exception as error:
            await asyncio.shield(self._not_dumped(row, error))
        else:
            await self._dumped(row.id, frozen_at, size)

    async def _dump_again(self, row: Departure) -> None:
        """Whoever died or gave up meanwhile: what it has come to all the same is told."""
        found = await self._leaving.dumped(row)
        if found is None:
            given = self.ledger[row.id].failure
            why = Canceled("the agent died during the dump; the container stays", stage="running")
            await self._not_dumped(row, why if given is None else from_body(given))
        else:
            await self._dumped(row.id, *found)

    async def _dumped(self, migration: str, frozen_at: int, size: int) -> None:
        """One that was given up meanwhile, too late for the dump, is so now."""
        await self.ledger.feed(migration, Heard.DUMPED, frozen_at=frozen_at, bytes=size)
        if self.ledger[migration].failure is not None:
            await self.ledger.feed(migration, Heard.CANCEL)

    async def _not_dumped(self, row: Departure, error: Exception) -> None:
        await self._leaving.stays(row)
        await self.ledger.feed(row.id, Heard.NOT_DUMPED, failure=told(error).to_body())

    async def _carry(self, row: Departure) -> None:
        """Whatever keeps the image from being sent brings the container back."""
        try:
            image = await self._means.images.outgoing(row.incarnation, row.checkpoint)
            self._tell(row, Phase.CARRYING, 0, image.total)
            self._sendings[row.id] = sending = self._sending(row, image)
            await sending.run()
        except Exception as error:
            log.error("image-not-sent", migration=row.id, exc_info=error)
            await self.ledger.feed(row.id, Heard.CANCEL, failure=told(error).to_body())

    def _sending(self, row: Departure, image: Outgoing) -> Sending:
        ids = self._ids(row)
        offered = Offer(
            **ids, digest=image.digest, manifest_bytes=image.manifest_bytes, total=image.total
        )

        async def offer() -> None:
            await self._say(row, offered)

        async def piece(offset: int, data: bytes) -> None:
            await self._say(row, Piece(**ids, offset=offset, data=data))

        def came(done: int, total: int) -> None:
            self._tell(row, Phase.CARRYING, done, total)

        return Sending(image, offer, piece, self._means.carriage.nap, came)

    async def _say(self, row: Departure, word: Word) -> None:
        await self._means.carriage.say(row.target, row.id, word)

    async def _say_go(self, migration: str) -> None:
        waits = iter(AGAIN_S)
        self._tell(self.ledger[migration], Phase.RESTORING, 0, 0)
        while True:
            row = self.ledger[migration]
            try:
                await self._say(row, Go(**self._ids(row), token=row.token))
            except BusError as error:
                log.info("go-waits", migration=migration, why=str(error))
            await self._means.carriage.nap(next(waits, AGAIN_S[-1]))

    async def _delete(self, row: Departure) -> None:
        await until_done("not-deleted", row.id, lambda: self._leaving.delete(row))
        await self.ledger.feed(row.id, Heard.DELETED)

    async def _revive(self, row: Departure) -> None:
        try:
            await self._leaving.revive(row)
        except Exception as error:
            log.error("not-revived", migration=row.id, exc_info=error)
            failure = self.ledger[row.id].failure or told(error).to_body()
            words = f"{failure.message}; and it could not be restored here: {told(error).message}"
            failure = msgspec.structs.replace(failure, message=words)
            await self.ledger.feed(row.id, Heard.NOT_REVIVED, failure=failure)
            return
        await self.ledger.feed(row.id, Heard.REVIVED)
