"""Containers that come to this node: announced, brought in pieces, and looked after until then.

Nothing comes that no caller has announced (`receive`), and nothing is started but by a GO that
bears the token of the present connection. The table is core.migration's target, kept by ledger.py
and worked on by arriving.py.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import structlog

from wharfside_agent.core.migration import OVER, UNKNOWN, Heard, Target
from wharfside_agent.errors import is_shortage, told
from wharfside_agent.ports.bus import Bus
from wharfside_agent.ports.rows import Arrival
from wharfside_agent.ports.store import Tx
from wharfside_agent.services.migration.arriving import Arriving
from wharfside_agent.services.migration.ends import Coming
from wharfside_agent.services.migration.means import Means
from wharfside_agent.services.migration.receiving import Receiving
from wharfside_protocol.carriage import (
    Carried,
    FromA,
    GiveUp,
    Go,
    Have,
    Offer,
    Piece,
    Revoke,
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


class Arrivals:
    def __init__(
        self,
        means: Means,
        coming: Coming,
        bus: Bus,
        reached: Callable[[Target], None] = lambda _state: None,
    ) -> None:
        """`reached`: a state is committed."""
        self._means = means
        self._receiving = Receiving(means.images)
        self._coming = coming
        self._reached = reached
        arriving = Arriving(means, self._receiving, coming, reached)
        self._ids = arriving.ids
        self._ledger = arriving.ledger
        self._token = secrets.token_urlsafe(12)
        bus.on_connected(self._renew_token)

    def _renew_token(self) -> None:
        """A GO that waited in the stream while we were away is asked about anew."""
        self._token = secrets.token_urlsafe(12)

    async def load(self) -> None:
        await self._ledger.load()

    def resume(self) -> None:
        """The effects of each one's state, once more; after the containers were found again."""
        for row in self._ledger.rows:
            self._ledger.act_on_entering(row, again=True)

    @property
    def rows(self) -> list[Arrival]:
        return self._ledger.rows

    def progress(self, migration: str) -> tuple[int, int]:
        """Bytes that came, of so many."""
        return self._receiving.progress(migration)

    def get(self, migration: str) -> Arrival:
        """Raises NotFound."""
        return self._ledger.get(migration)

    @property
    def under_way(self) -> list[Arrival]:
        return [row for row in self._ledger.rows if row.state not in OVER]

    def needing(self, incarnation: str, checkpoint: str) -> str | None:
        """The id of one under way that is to go on from this image."""
        for row in self.under_way:
            if row.image == (incarnation, checkpoint):
                return row.id
        return None

    async def expect(self, row: Arrival, also: Callable[[Tx], None] = lambda _tx: None) -> None:
        """`also` belongs into the same transaction.

        Raises:
            AlreadyExists: the id was used before.
        """
        if row.id in self._ledger:
            raise AlreadyExists(f"migration {row.id} is known here already: choose another id")
        await self._ledger.save(row, also)
        self._reached(row.state)

    async def cancel(self, migration: str) -> Arrival:
        """As if the source had given up, which it hears of; too late once it has said GO."""
        reason = Canceled("the migration was given up at its target", stage="waiting")
        await self._ledger.feed(migration, Heard.GIVE_UP, failure=reason.to_body())
        return self._ledger[migration]

    def close(self) -> None:
        """Lets go of files; what came stays for the next life."""
        self._receiving.close()

    async def run(self) -> None:
        """Looks after those that nobody brings."""
        while True:
            await asyncio.sleep(EXPIRY_LOOK_S)
            now = self._means.clock.now()
            for row in self.rows:
                if row.state is Target.EXPECTING and row.expires_at <= now:
                    why = Canceled("nothing came in time", stage="waiting")
                    await self._ledger.feed(row.id, Heard.EXPIRED, failure=why.to_body())

    async def hear(self, source: str, migration: str, word: FromA) -> None:
        if word.b_id != self._means.node_id:
            log.warning("word-for-another-store", migration=migration, node=source)
            return
        row = self._ledger.find(migration)
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
            await self._ledger.feed(migration, _HEARD[type(word)], **failure)

    async def _while_expecting(self, row: Arrival, word: FromA) -> None:
        match word:
            case Offer():
                await self._guarded(row, self._offered(row, word))
            case Piece():
                await self._guarded(row, self._piece(row, word))
            case Go() if row.image is not None and word.token == self._token:
                await self._ledger.feed(row.id, Heard.GO)
            case Go():
                await self._where(row)
            case _:
                failure = _given_up(word, row.source)
                await self._ledger.feed(row.id, _HEARD[type(word)], **failure)

    async def _unknown(self, source: str, migration: str, word: FromA) -> Arrival:
        """Never announced here, or long forgotten: it is written down that it will not start."""
        why = NotFound(f"migration {migration} is not expected on this node: `receive` comes first")
        now = self._means.clock.now()
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
        return await self._ledger.save(row)

    async def _guarded(self, row: Arrival, work: Coroutine[Any, Any, None]) -> None:
        """What is wrong with the image ends the migration; a shortage that may pass, too: the
        container stands still meanwhile."""
        try:
            await work
        except (WharfsideError, OSError) as error:
            log.warning("image-refused", migration=row.id, why=str(error), short=is_shortage(error))
            await self._ledger.feed(row.id, Heard.BROKEN, failure=told(error).to_body())

    async def _offered(self, row: Arrival, word: Offer) -> None:
        if row.image is not None and row.digest == word.digest:
            await self._where(row)
            return
        if not self._receiving.knows(row.id, word.digest):
            fresh = msgspec.structs.replace(row, digest=word.digest, image=None)
            row = await self._ledger.save(fresh)
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
        name = (image.manifest.incarnation, image.manifest.name)
        try:
            await self._coming.fits(row, image)
        except BaseException:
            await asyncio.shield(self._means.images.delete(*name))
            raise
        whole = msgspec.structs.replace(self._ledger[row.id], image=name, digest=image.digest)
        await self._where(await self._ledger.save(whole))

    async def _where(self, row: Arrival) -> None:
        """How far it is, for a source that asks."""
        if row.image is not None:
            await self._mention(row, Carried(**self._ids(row), token=self._token))
        elif row.id in self._receiving:
            await self._have(row, again=True)
        else:
            lost = Canceled("the image that came here is lost", stage="waiting")
            await self._ledger.feed(row.id, Heard.BROKEN, failure=lost.to_body())

    async def _have(self, row: Arrival, *, again: bool = False) -> None:
        received = self._receiving.acked(row.id)
        await self._mention(row, Have(**self._ids(row), received=received, again=again))

    async def _mention(self, row: Arrival, word: Word) -> None:
        """Beside what comes: a slow bus must not hold up the other migrations' words."""
        work = self._means.carriage.mention(row.source, row.id, word)
        self._means.tasks.start(work, f"{type(word).__name__} of {row.id}")


def expiry(now: int, timeout_s: float) -> int:
    return now + int(timeout_s * NANOSECONDS)


def _given_up(word: FromA, source: str) -> dict[str, Any]:
    if isinstance(word, GiveUp | Revoke):
        why = Canceled(f"{source} gave up", stage="waiting")
        return {"failure": why.to_body()}
    return {}
