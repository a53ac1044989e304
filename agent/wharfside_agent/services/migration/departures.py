"""Containers that leave this node: core.migration's source table, written down and acted upon.

A step is committed before its effects, and each life of the agent begins with those of the state
that it finds. What only the container knows (dump, delete, restore in place) is `Leaving`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Protocol

import msgspec
import structlog

from wharfside_agent.core.migration import (
    ON_ENTERING,
    OVER,
    WITH_FSYNC,
    Effect,
    Heard,
    Source,
    source_step,
)
from wharfside_agent.errors import told
from wharfside_agent.ports.bus import BusError
from wharfside_agent.ports.clock import Clock
from wharfside_agent.ports.images import Images
from wharfside_agent.ports.rows import Departure
from wharfside_agent.ports.store import Store
from wharfside_agent.services.migration.carriage import Carriage
from wharfside_agent.services.migration.effects import AGAIN_S, Effects, until_done
from wharfside_agent.services.migration.sending import Sending
from wharfside_agent.services.tasks import Tasks
from wharfside_protocol.carriage import (
    Carried,
    FromB,
    GiveUp,
    Go,
    Have,
    NeverHere,
    Offer,
    Piece,
    Revoke,
    RunsHere,
    Settle,
    Word,
)
from wharfside_protocol.checkpoints import Phase
from wharfside_protocol.errors import Canceled, NotFound, WrongState, from_body
from wharfside_protocol.migration import MigrateValue
from wharfside_protocol.times import NANOSECONDS

log = structlog.get_logger(__name__)

_TOLD_ONCE: dict[Effect, type[GiveUp | Settle | Revoke]] = {
    Effect.SAY_GIVE_UP: GiveUp,
    Effect.SAY_SETTLE: Settle,
    Effect.SAY_REVOKE: Revoke,
}

GONE_KEPT = 28 * 86_400 * NANOSECONDS
"""Longer than others: the target may be away when it is told that all is well."""


Tell = Callable[[Departure, Phase, int, int], None]
"""(which, what is done now, bytes done, of so many)."""


class Leaving(Protocol):
    """What a departure does with its container. Each may be called again after a death."""

    async def dump(self, row: Departure) -> tuple[int, int]:
        """The final dump; the container is over, and `migrating`. (frozen at, bytes).

        Raises:
            WharfsideError: it goes on.
        """
        ...

    async def dumped(self, row: Departure) -> tuple[int, int] | None:
        """After a death: what the dump came to. None: the container goes on, or is over itself."""
        ...

    async def delete(self, row: Departure) -> None:
        """Raises WharfsideError: something cannot be removed; again later."""
        ...

    async def revive(self, row: Departure) -> None:
        """Restores it in place, unless that is done already.

        Raises:
            WharfsideError: it is stopped, with its image kept.
        """
        ...

    async def stays(self, row: Departure) -> None:
        """It is no longer about to leave."""
        ...

    def lives(self, row: Departure) -> bool:
        """Somebody has brought it to life meanwhile."""
        ...


class Departures:
    def __init__(
        self,
        store: Store,
        carriage: Carriage,
        images: Images,
        leaving: Leaving,
        clock: Clock,
        tasks: Tasks,
        reached: Callable[[Source], None] = lambda _state: None,
        tell: Tell = lambda _row, _phase, _done, _total: None,
    ) -> None:
        """`reached`: a state is committed. `tell`: how far one is, for whoever listens."""
        self._store = store
        self._carriage = carriage
        self._images = images
        self._leaving = leaving
        self._clock = clock
        self._tasks = tasks
        self._reached = reached
        self._tell = tell
        self._rows: dict[str, Departure] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._outcomes: dict[str, asyncio.Future[Departure]] = {}
        self._dumps: dict[str, asyncio.Future[None]] = {}
        self._sendings: dict[str, Sending] = {}
        self._effects = Effects(tasks)

    async def load(self) -> None:
        for row in await self._store.transact(lambda tx: tx.departures()):
            self._enter(row)

    def resume(self) -> None:
        """The effects of each one's state, once more; after the containers were found again."""
        for row in self._rows.values():
            self._act(row, ON_ENTERING[row.state], again=True)

    def __contains__(self, migration: str) -> bool:
        return migration in self._rows

    @property
    def rows(self) -> list[Departure]:
        return list(self._rows.values())

    def get(self, migration: str) -> Departure:
        """Raises NotFound."""
        row = self._rows.get(migration)
        if row is None:
            raise NotFound(f"no migration {migration} leaves this node: `migrations` lists them")
        return row

    def progress(self, migration: str) -> tuple[int, int]:
        """Bytes carried, of so many."""
        sending = self._sendings.get(migration)
        return (0, 0) if sending is None else (sending.acked, sending.total)

    def left_home(self, migration: str) -> asyncio.Future[None]:
        """Done once the dump is over, whatever came of it; not to be canceled: shield it."""
        return self._dumps[migration]

    def outcome(self, migration: str) -> asyncio.Future[Departure]:
        """Done once it is over, with the row as it is then; not to be canceled: shield it."""
        return self._outcomes[migration]

    def begin(self, row: Departure) -> None:
        """A row that is committed, with its container's, in `DUMPING`."""
        self._enter(row)
        self._reached(row.state)
        self._act(row, ON_ENTERING[row.state])

    async def cancel(self, migration: str) -> None:
        """Gives up where that is safe; `DUMPING` ends by the dump's own cancel."""
        row = self.get(migration)
        if row.state is Source.DUMPING:
            self._effects.cancel(migration, Effect.DUMP)
        reason = Canceled("the migration was given up", stage="running")
        failure = row.failure or reason.to_body()
        changes = {"failure": failure} if row.state is Source.CARRYING else {}
        await self._feed(migration, Heard.CANCEL, **changes)

    async def target_is_dead(self, migration: str) -> None:
        """
        Raises:
            WrongState: nothing is unknown about it.
        """
        row = self.get(migration)
        if row.state is not Source.ASKED:
            raise WrongState(f"migration {migration} is {row.state}: its outcome is not unknown")
        failure = Canceled(f"an operator says that {row.target} is dead", stage="running")
        await self._feed(migration, Heard.B_IS_DEAD, failure=failure.to_body())

    async def hear(self, source: str, migration: str, word: FromB) -> None:
        row = self._rows.get(migration)
        if row is None or (row.target, row.target_id) != (source, word.b_id):
            log.warning("word-of-a-stranger", migration=migration, node=source)
            return
        match word:
            case Have():
                if (sending := self._sendings.get(migration)) is not None:
                    sending.heard(word.received, again=word.again)
            case Carried():
                await self._carried(row, word)
            case RunsHere():
                await self._runs_there(row, word)
            case NeverHere():
                failure = row.failure or word.error
                await self._feed(migration, Heard.B_FAILED, failure=failure)

    async def _carried(self, row: Departure, word: Carried) -> None:
        if row.state is Source.ASKED and row.token != word.token:
            async with self._locked(row.id):
                row = await self._save(
                    msgspec.structs.replace(self._rows[row.id], token=word.token)
                )
            self._effects.start(row.id, Effect.SAY_GO, self._say_go(row.id))
        else:
            await self._feed(row.id, Heard.CARRIED, token=word.token)

    async def _runs_there(self, row: Departure, word: RunsHere) -> None:
        if row.state is Source.STRANDED and self._leaving.lives(row):
            await self._feed(row.id, Heard.REVIVED)
        facts = {"restored": word.incarnation, "restored_run": word.run, "failure": None}
        if row.back_at is None:
            facts["back_at"] = self._clock.now()
        kept = row.state in (Source.CARRYING, Source.ASKED, Source.STRANDED)
        await self._feed(row.id, Heard.B_RESTORED, **(facts if kept else {}))

    def _enter(self, row: Departure) -> None:
        self._rows[row.id] = row
        self._locks[row.id] = asyncio.Lock()
        self._outcomes[row.id] = asyncio.get_running_loop().create_future()
        self._dumps[row.id] = asyncio.get_running_loop().create_future()
        self._wake(row)

    @asynccontextmanager
    async def _locked(self, migration: str) -> AsyncIterator[None]:
        async with self._locks[migration]:
            yield

    async def _feed(self, migration: str, heard: Heard, **changes: Any) -> None:
        async with self._locked(migration):
            row = self._rows[migration]
            state, effects = source_step(row.state, heard)
            if state is not row.state:
                over_at = self._kept_from(state, heard)
                row = await self._save(
                    msgspec.structs.replace(row, state=state, over_at=over_at, **changes)
                )
                log.info("migration", id=migration, state=str(state), heard=str(heard))
                self._reached(state)
                self._forget_work(row)
        self._act(row, effects)
        self._wake(row)

    def _wake(self, row: Departure) -> None:
        if row.state is not Source.DUMPING and not self._dumps[row.id].done():
            self._dumps[row.id].set_result(None)
        if row.state in OVER and not self._outcomes[row.id].done():
            self._outcomes[row.id].set_result(row)

    def _kept_from(self, state: Source, heard: Heard) -> int | None:
        """One that an operator has decided is never forgotten: its target may come back."""
        if state is Source.GONE:
            return self._clock.now() + GONE_KEPT
        return self._clock.now() if state in OVER and heard is not Heard.B_IS_DEAD else None

    async def _save(self, row: Departure) -> Departure:
        """Not cut short: memory and store stay one."""
        durable = row.state in WITH_FSYNC
        saving = self._store.transact(lambda tx: tx.save_departure(row), durable=durable)
        await asyncio.shield(saving)
        self._rows[row.id] = row
        return row

    def _forget_work(self, row: Departure) -> None:
        """What belonged to the state before."""
        self._sendings.pop(row.id, None)
        self._effects.cancel(row.id, Effect.CARRY, Effect.SAY_GO)

    def _act(self, row: Departure, effects: tuple[Effect, ...], *, again: bool = False) -> None:
        for effect in effects:
            if (kind := _TOLD_ONCE.get(effect)) is not None:
                self._mention(row, kind)
            else:
                self._effects.start(row.id, effect, self._work(row, effect, again))

    def _work(self, row: Departure, effect: Effect, again: bool) -> Coroutine[Any, Any, None]:
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
                raise AssertionError(f"{effect} is the target's")

    def _mention(self, row: Departure, kind: type[GiveUp | Settle | Revoke]) -> None:
        word = kind(**self._ids(row))
        work = self._carriage.mention(row.target, row.id, word)
        self._tasks.start(work, f"{kind.__name__} of {row.id}")

    def _ids(self, row: Departure) -> dict[str, str]:
        return {"a_id": self._store.identity.node_id, "b_id": row.target_id}

    async def _dump(self, row: Departure) -> None:
        try:
            frozen_at, size = await self._leaving.dump(row)
        except (Exception, asyncio.CancelledError) as error:
            await asyncio.shield(self._not_dumped(row, error))
            return
        await self._feed(row.id, Heard.DUMPED, frozen_at=frozen_at, bytes=size)

    async def _dump_again(self, row: Departure) -> None:
        found = await self._leaving.dumped(row)
        if found is None:
            why = Canceled("the agent died during the dump; the container stays", stage="running")
            await self._not_dumped(row, why)
        else:
            await self._feed(row.id, Heard.DUMPED, frozen_at=found[0], bytes=found[1])

    async def _not_dumped(self, row: Departure, error: BaseException) -> None:
        why = told(error) if isinstance(error, Exception) else Canceled("canceled")
        await self._leaving.stays(row)
        await self._feed(row.id, Heard.NOT_DUMPED, failure=why.to_body())

    async def _carry(self, row: Departure) -> None:
        """Whatever keeps the image from being sent brings the container back."""
        ids = self._ids(row)
        try:
            image = await self._images.outgoing(row.incarnation, row.checkpoint)

            async def offer() -> None:
                word = Offer(
                    **ids,
                    digest=image.digest,
                    manifest_bytes=image.manifest_bytes,
                    total=image.total,
                )
                await self._say(row, word)

            async def piece(offset: int, data: bytes) -> None:
                await self._say(row, Piece(**ids, offset=offset, data=data))

            def came(done: int, total: int) -> None:
                self._tell(row, Phase.CARRYING, done, total)

            came(0, image.total)
            sending = Sending(image, offer, piece, self._carriage.nap, came)
            self._sendings[row.id] = sending
            await sending.run()
        except Exception as error:
            log.error("image-not-sent", migration=row.id, exc_info=error)
            await self._feed(row.id, Heard.CANCEL, failure=told(error).to_body())

    async def _say(self, row: Departure, word: Word) -> None:
        await self._carriage.say(row.target, row.id, word)

    async def _say_go(self, migration: str) -> None:
        waits = iter(AGAIN_S)
        self._tell(self._rows[migration], Phase.RESTORING, 0, 0)
        while True:
            row = self._rows[migration]
            try:
                await self._say(row, Go(**self._ids(row), token=row.token))
            except BusError as error:
                log.info("go-waits", migration=migration, why=str(error))
            await self._carriage.nap(next(waits, AGAIN_S[-1]))

    async def _delete(self, row: Departure) -> None:
        await until_done("not-deleted", row.id, lambda: self._leaving.delete(row))
        await self._feed(row.id, Heard.DELETED)

    async def _revive(self, row: Departure) -> None:
        try:
            await self._leaving.revive(row)
        except Exception as error:
            log.error("not-revived", migration=row.id, exc_info=error)
            failure = self._rows[row.id].failure or told(error).to_body()
            words = f"{failure.message}; and it could not be restored here: {told(error).message}"
            failure = msgspec.structs.replace(failure, message=words)
            await self._feed(row.id, Heard.NOT_REVIVED, failure=failure)
            return
        await self._feed(row.id, Heard.REVIVED)


def value_of(row: Departure, standing: dict[str, Any]) -> MigrateValue:
    """Of one that is `GONE`."""
    still_us = max(0, (row.back_at or 0) - (row.frozen_at or row.back_at or 0)) // 1000
    return MigrateValue(
        **standing,
        migration=row.id,
        target=row.target,
        name=row.name,
        restored=row.restored or "",
        restored_run=row.restored_run,
        bytes=row.bytes,
        stood_still_us=still_us,
    )


def failure_of(row: Departure) -> Exception:
    """Of one that is over, and not `GONE`: why, and where the container is."""
    if row.failure is None:
        error: Any = Canceled("the migration came to nothing", stage="running")
    else:
        error = from_body(row.failure)
    error.details = {**error.details, "migration": row.id, "outcome": str(row.state)}
    return error  # type: ignore[no-any-return]
