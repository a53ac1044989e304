"""Containers that leave this node: asked for, given up, and what their targets say of them.

The table is core.migration's source, kept by ledger.py and worked on by departing.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import structlog

from wharfside_agent.core.migration import OVER, Effect, Heard, Source
from wharfside_agent.ports.rows import Departure
from wharfside_agent.services.migration.departing import Departing, Tell, given_up
from wharfside_agent.services.migration.ends import Leaving
from wharfside_agent.services.migration.means import Means
from wharfside_protocol.carriage import Carried, FromB, Have, NeverHere, RunsHere
from wharfside_protocol.errors import Canceled, WrongState

log = structlog.get_logger(__name__)


class Departures:
    def __init__(
        self,
        means: Means,
        leaving: Leaving,
        reached: Callable[[Source], None] = lambda _state: None,
        tell: Tell = lambda _row, _phase, _done, _total: None,
    ) -> None:
        """`reached`: a state is committed. `tell`: how far one is, for whoever listens."""
        self._leaving = leaving
        self._clock = means.clock
        self._reached = reached
        self._departing = Departing(means, leaving, reached, tell)
        self._ledger = self._departing.ledger

    async def load(self) -> None:
        await self._ledger.load()

    def resume(self) -> None:
        """The effects of each one's state, once more; after the containers were found again."""
        for row in self._ledger.rows:
            self._ledger.act_on_entering(row, again=True)

    def __contains__(self, migration: str) -> bool:
        return migration in self._ledger

    @property
    def rows(self) -> list[Departure]:
        return self._ledger.rows

    def get(self, migration: str) -> Departure:
        """Raises NotFound."""
        return self._ledger.get(migration)

    def progress(self, migration: str) -> tuple[int, int]:
        """Bytes carried, of so many."""
        sending = self._departing.sending(migration)
        return (0, 0) if sending is None else (sending.acked, sending.total)

    def needing(self, incarnation: str, checkpoint: str) -> str | None:
        """The id of one that is under way with this image: nothing else is left of its container,
        which goes on from it here, too, where the target fails."""
        for row in self._ledger.rows:
            image = (row.incarnation, row.checkpoint)
            if row.state not in OVER and image == (incarnation, checkpoint):
                return row.id
        return None

    def left_home(self, migration: str) -> asyncio.Future[Departure]:
        """Done once the dump is over, whatever came of it; not to be canceled: shield it."""
        return self._departing.left_home.of(self._ledger[migration])

    def outcome(self, migration: str) -> asyncio.Future[Departure]:
        """Done once it is over, with the row as it is then; not to be canceled: shield it."""
        return self._departing.outcome.of(self._ledger[migration])

    def begin(self, row: Departure) -> None:
        """A row that is committed, with its container's, in `DUMPING`."""
        self._ledger.enter(row)
        self._reached(row.state)
        self._ledger.act_on_entering(row)

    async def cancel(self, migration: str) -> None:
        """Gives up where that is safe; `DUMPING` ends by the dump's own cancel, and one whose dump
        is past that gives up as soon as it is over."""
        reason = Canceled("the migration was given up", stage="running").to_body()
        if self.get(migration).state is Source.DUMPING:
            await self._ledger.change(migration, lambda row: given_up(row, reason))
            self._ledger.effects.cancel(migration, Effect.DUMP)
        row = self.get(migration)
        changes = {"failure": row.failure or reason} if row.state is Source.CARRYING else {}
        await self._ledger.feed(migration, Heard.CANCEL, **changes)

    async def target_is_dead(self, migration: str) -> None:
        """
        Raises:
            WrongState: nothing is unknown about it.
        """
        row = self.get(migration)
        if row.state is not Source.ASKED:
            raise WrongState(f"migration {migration} is {row.state}: its outcome is not unknown")
        failure = Canceled(f"an operator says that {row.target} is dead", stage="running")
        await self._ledger.feed(migration, Heard.B_IS_DEAD, failure=failure.to_body())

    async def hear(self, source: str, migration: str, word: FromB) -> None:
        row = self._ledger.find(migration)
        if row is None or (row.target, row.target_id) != (source, word.b_id):
            log.warning("word-of-a-stranger", migration=migration, node=source)
            return
        match word:
            case Have():
                if (sending := self._departing.sending(migration)) is not None:
                    sending.heard(word.received, again=word.again)
            case Carried():
                await self._carried(row, word)
            case RunsHere():
                await self._runs_there(row, word)
            case NeverHere():
                failure = row.failure or word.error
                await self._ledger.feed(migration, Heard.B_FAILED, failure=failure)

    async def _carried(self, row: Departure, word: Carried) -> None:
        if row.state is not Source.ASKED or row.token == word.token:
            await self._ledger.feed(row.id, Heard.CARRIED, token=word.token)
            return
        row = await self._ledger.change(
            row.id, lambda row: msgspec.structs.replace(row, token=word.token)
        )
        self._ledger.act(row, (Effect.SAY_GO,))

    async def _runs_there(self, row: Departure, word: RunsHere) -> None:
        if row.state is Source.STRANDED and self._leaving.lives(row):
            await self._ledger.feed(row.id, Heard.REVIVED)
        facts = {"restored": word.incarnation, "restored_run": word.run, "failure": None}
        if row.back_at is None:
            facts["back_at"] = self._clock.now()
        kept = row.state in (Source.CARRYING, Source.ASKED, Source.STRANDED)
        await self._ledger.feed(row.id, Heard.B_RESTORED, **(facts if kept else {}))
