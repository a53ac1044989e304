"""Containers that come to this node: core.migration's target table, written down and acted upon.

Nothing comes that no caller has announced (`receive`), and nothing is started but by a GO that
bears the token of the present connection. What only the container knows is `Coming`'s.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import msgspec
import structlog

from wharfside_agent.core.migration import (
    ON_ENTERING,
    OVER,
    UNKNOWN,
    WITH_FSYNC,
    Effect,
    Heard,
    Target,
    target_step,
)
from wharfside_agent.errors import is_shortage, told
from wharfside_agent.ports.bus import Bus
from wharfside_agent.ports.clock import Clock
from wharfside_agent.ports.images import Image, Images
from wharfside_agent.ports.rows import Arrival
from wharfside_agent.ports.store import Store, Tx
from wharfside_agent.services.migration.carriage import Carriage
from wharfside_agent.services.migration.effects import AGAIN_S, Effects, until_done
from wharfside_agent.services.migration.receiving import Receiving
from wharfside_agent.services.tasks import Tasks
from wharfside_protocol.carriage import (
    Carried,
    FromA,
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
from wharfside_protocol.errors import AlreadyExists, Canceled, NotFound, WharfsideError
from wharfside_protocol.times import NANOSECONDS

log = structlog.get_logger(__name__)

EXPIRY_LOOK_S = 1.0
MOST = 8
"""Containers that may be on their way here at once."""

_HEARD = {
    Offer: Heard.OFFER,
    Go: Heard.GO,
    GiveUp: Heard.GIVE_UP,
    Settle: Heard.SETTLE,
    Revoke: Heard.REVOKE,
}


class Coming(Protocol):
    """What an arrival does with its container. Each may be called again after a death."""

    async def fits(self, row: Arrival, image: Image) -> None:
        """Raises WharfsideError: the image is not that of what was announced."""
        ...

    async def restore(self, row: Arrival) -> Arrival:
        """It runs here; saved with the row that is returned, in one transaction.

        Raises:
            WharfsideError: it does not, and nothing of it is left.
        """
        ...

    async def found(self, row: Arrival) -> Arrival | None:
        """After a death: the row of one that was restored; None: nothing of it is left."""
        ...

    async def end(self, row: Arrival) -> None:
        """Kills and deletes it, wherever it is. Idempotent.

        Raises:
            WharfsideError: again later.
        """
        ...


class Arrivals:
    def __init__(
        self,
        store: Store,
        carriage: Carriage,
        images: Images,
        coming: Coming,
        bus: Bus,
        clock: Clock,
        tasks: Tasks,
        reached: Callable[[Target], None] = lambda _state: None,
    ) -> None:
        self._store = store
        self._carriage = carriage
        self._images = images
        self._receiving = Receiving(images)
        self._coming = coming
        self._clock = clock
        self._tasks = tasks
        self._reached = reached
        self._rows: dict[str, Arrival] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._effects = Effects(tasks)
        self._token = secrets.token_urlsafe(12)
        bus.on_connected(self._renew_token)

    def _renew_token(self) -> None:
        """A GO that waited in the stream while we were away is asked about anew."""
        self._token = secrets.token_urlsafe(12)

    async def load(self) -> None:
        for row in await self._store.transact(lambda tx: tx.arrivals()):
            self._rows[row.id] = row

    def resume(self) -> None:
        """The effects of each one's state, once more; after the containers were found again."""
        for row in self._rows.values():
            effects = ON_ENTERING[row.state]
            if row.state is Target.FAILED:
                effects = tuple(each for each in effects if each is not Effect.SAY_FAILED)
            self._act(row, effects, again=True)

    @property
    def rows(self) -> list[Arrival]:
        return list(self._rows.values())

    def progress(self, migration: str) -> tuple[int, int]:
        """Bytes that came, of so many."""
        return self._receiving.progress(migration)

    def get(self, migration: str) -> Arrival:
        """Raises NotFound."""
        row = self._rows.get(migration)
        if row is None:
            raise NotFound(f"no migration {migration} comes to this node: `migrations` lists them")
        return row

    @property
    def under_way(self) -> list[Arrival]:
        return [row for row in self._rows.values() if row.state not in OVER]

    async def expect(self, row: Arrival, also: Callable[[Tx], None] = lambda _tx: None) -> None:
        """`also` belongs into the same transaction.

        Raises:
            AlreadyExists: the id was used before.
        """
        if row.id in self._rows:
            raise AlreadyExists(f"migration {row.id} is known here already: choose another id")

        def journal(tx: Tx) -> None:
            tx.save_arrival(row)
            also(tx)

        await asyncio.shield(self._store.transact(journal))
        self._rows[row.id] = row
        self._reached(row.state)

    async def cancel(self, migration: str) -> Arrival:
        """As if the source had given up, which it hears of; too late once it has said GO."""
        reason = Canceled("the migration was given up at its target", stage="waiting")
        await self._feed(migration, Heard.GIVE_UP, failure=reason.to_body())
        return self._rows[migration]

    def close(self) -> None:
        """Lets go of files; what came stays for the next life."""
        self._receiving.close()

    async def run(self) -> None:
        """Looks after those that nobody brings."""
        while True:
            await asyncio.sleep(EXPIRY_LOOK_S)
            now = self._clock.now()
            for row in self.rows:
                if row.state is Target.EXPECTING and row.expires_at <= now:
                    why = Canceled("nothing came in time", stage="waiting")
                    await self._feed(row.id, Heard.EXPIRED, failure=why.to_body())

    async def hear(self, source: str, migration: str, word: FromA) -> None:
        if word.b_id != self._store.identity.node_id:
            log.warning("word-for-another-store", migration=migration, node=source)
            return
        row = self._rows.get(migration)
        if row is None and isinstance(word, Settle):
            return
        row = row or await self._unknown(source, migration, word)
        if (row.source, row.source_id) != (source, word.a_id):
            log.warning("word-of-a-stranger", migration=migration, node=source)
            return
        if row.state is Target.EXPECTING:
            await self._while_expecting(row, word)
        elif not isinstance(word, Piece):
            failure = _given_up(word, source)
            await self._feed(migration, _HEARD[type(word)], **failure)

    async def _while_expecting(self, row: Arrival, word: FromA) -> None:
        match word:
            case Offer():
                await self._guarded(row, self._offered(row, word))
            case Piece():
                await self._guarded(row, self._piece(row, word))
            case Go() if row.image is not None and word.token == self._token:
                await self._feed(row.id, Heard.GO)
            case Go():
                await self._where(row)
            case _:
                await self._feed(row.id, _HEARD[type(word)], **_given_up(word, row.source))

    async def _unknown(self, source: str, migration: str, word: FromA) -> Arrival:
        """Never announced here, or long forgotten: it is written down that it will not start."""
        why = NotFound(f"migration {migration} is not expected on this node: `receive` comes first")
        now = self._clock.now()
        row = Arrival(
            id=migration,
            state=UNKNOWN,
            container="unknown",
            source=source,
            source_id=word.a_id,
            begun_at=now,
            expires_at=now,
            failure=why.to_body(),
            over_at=now,
        )
        return await self._save(row)

    async def _guarded(self, row: Arrival, work: Coroutine[Any, Any, None]) -> None:
        """What is wrong with the image ends the migration; a shortage that may pass, too: the
        container stands still meanwhile."""
        try:
            await work
        except (WharfsideError, OSError) as error:
            log.warning("image-refused", migration=row.id, why=str(error), short=is_shortage(error))
            await self._feed(row.id, Heard.BROKEN, failure=told(error).to_body())

    async def _offered(self, row: Arrival, word: Offer) -> None:
        if row.image is not None and row.digest == word.digest:
            await self._where(row)
            return
        if not self._receiving.knows(row.id, word.digest):
            row = await self._save(msgspec.structs.replace(row, digest=word.digest, image=None))
            await self._receiving.begin(row.id, word)
        await self._have(row, again=True)
        await self._finish_if_whole(row)

    async def _piece(self, row: Arrival, word: Piece) -> None:
        again = await self._receiving.take(row.id, word)
        if again is not None:
            await self._have(row, again=again)
        await self._finish_if_whole(row)

    async def _finish_if_whole(self, row: Arrival) -> None:
        image = await self._receiving.finish(row.id)
        if image is None:
            return
        await self._coming.fits(row, image)
        manifest = image.manifest
        row = msgspec.structs.replace(
            self._rows[row.id], image=(manifest.incarnation, manifest.name), digest=image.digest
        )
        await self._where(await self._save(row))

    async def _where(self, row: Arrival) -> None:
        """How far it is, for a source that asks."""
        if row.image is not None:
            await self._mention(row, Carried(**self._ids(row), token=self._token))
        elif row.id in self._receiving:
            await self._have(row, again=True)
        else:
            lost = Canceled("the image that came here is lost", stage="waiting")
            await self._feed(row.id, Heard.BROKEN, failure=lost.to_body())

    async def _have(self, row: Arrival, *, again: bool = False) -> None:
        received = self._receiving.acked(row.id)
        await self._mention(row, Have(**self._ids(row), received=received, again=again))

    async def _mention(self, row: Arrival, word: Word) -> None:
        """Beside what comes: a slow bus must not hold up the other migrations' words."""
        work = self._carriage.mention(row.source, row.id, word)
        self._tasks.start(work, f"{type(word).__name__} of {row.id}")

    def _ids(self, row: Arrival) -> dict[str, str]:
        return {"a_id": row.source_id, "b_id": self._store.identity.node_id}

    async def _save(self, row: Arrival) -> Arrival:
        durable = row.state in WITH_FSYNC
        saving = self._store.transact(lambda tx: tx.save_arrival(row), durable=durable)
        await asyncio.shield(saving)
        self._rows[row.id] = row
        return row

    async def _feed(self, migration: str, heard: Heard, **changes: Any) -> None:
        lock = self._locks.setdefault(migration, asyncio.Lock())
        async with lock:
            row = self.get(migration)
            state, effects = target_step(row.state, heard)
            if state is not row.state:
                over_at = self._clock.now() if state in OVER else None
                row = await self._save(
                    msgspec.structs.replace(row, state=state, over_at=over_at, **changes)
                )
                log.info("arrival", id=migration, state=str(state), heard=str(heard))
                self._reached(state)
        self._act(row, effects)

    def _act(self, row: Arrival, effects: tuple[Effect, ...], *, again: bool = False) -> None:
        for effect in effects:
            # one that is under way is not begun a second time
            if effect is Effect.RESTORE and self._effects.running(row.id, effect):
                continue
            self._effects.start(row.id, effect, self._work(row, effect, again))

    def _work(self, row: Arrival, effect: Effect, again: bool) -> Coroutine[Any, Any, None]:
        match effect:
            case Effect.RESTORE:
                return self._restore_again(row) if again else self._restore(row)
            case Effect.SAY_RESTORED:
                return self._say_restored(row.id)
            case Effect.SAY_FAILED:
                return self._say_failed(row)
            case Effect.DROP_IMAGE:
                return self._drop_image(row)
            case Effect.END:
                return self._end(row)
            case _:
                raise AssertionError(f"{effect} is the source's")

    async def _restore(self, row: Arrival) -> None:
        began = self._clock.now()
        try:
            restored = await self._coming.restore(row)
        except Exception as error:
            log.warning("not-restored", migration=row.id, exc_info=error)
            await self._feed(row.id, Heard.NOT_STARTED, failure=told(error).to_body())
            return
        took = max(0, self._clock.now() - began) // 1000
        await self._started(restored, took)

    async def _restore_again(self, row: Arrival) -> None:
        found = await self._coming.found(row)
        if found is None:
            why = Canceled("the target's agent died during the restore", stage="running")
            await self._feed(row.id, Heard.NOT_STARTED, failure=why.to_body())
        else:
            await self._started(found, 0)

    async def _started(self, row: Arrival, took_us: int) -> None:
        facts = {"incarnation": row.incarnation, "run": row.run, "restore_us": took_us}
        await self._feed(row.id, Heard.STARTED, **facts)

    async def _end(self, row: Arrival) -> None:
        restoring = self._effects.running(row.id, Effect.RESTORE)
        if restoring is not None:
            await asyncio.wait([restoring])
        await until_done("not-ended", row.id, lambda: self._coming.end(self._rows[row.id]))
        why = Canceled("revoked: it runs on its source again", stage="running")
        await self._feed(row.id, Heard.ENDED, failure=why.to_body())

    async def _say_restored(self, migration: str) -> None:
        waits = iter(AGAIN_S)
        while (row := self._rows[migration]).state is Target.RESTORED:
            word = RunsHere(
                **self._ids(row),
                incarnation=row.incarnation or "",
                run=row.run,
                restore_us=row.restore_us,
            )
            await self._carriage.mention(row.source, row.id, word)
            await self._carriage.nap(next(waits, AGAIN_S[-1]))

    async def _say_failed(self, row: Arrival) -> None:
        error = row.failure or Canceled("it does not run here", stage="running").to_body()
        word = NeverHere(**self._ids(row), error=error)
        await self._carriage.mention(row.source, row.id, word)

    async def _drop_image(self, row: Arrival) -> None:
        try:
            await self._receiving.discard(row.id)
            if row.image is not None:
                await self._images.delete(*row.image)
        except (WharfsideError, OSError) as error:
            log.warning("image-not-dropped", migration=row.id, why=str(error))


def expiry(now: int, timeout_s: float) -> int:
    return now + int(timeout_s * NANOSECONDS)


def _given_up(word: FromA, source: str) -> dict[str, Any]:
    if isinstance(word, GiveUp | Revoke):
        why = Canceled(f"{source} gave up", stage="waiting")
        return {"failure": why.to_body()}
    return {}
