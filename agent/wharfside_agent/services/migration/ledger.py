"""The migrations of one end: each row in memory as it is in the store, one step of it at a time.

A step is committed before its effects, and each life of the agent begins with those of the state
that it finds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

import structlog

from wharfside_agent.core.migration import ON_ENTERING, WITH_FSYNC, Effect, Heard
from wharfside_agent.ports.rows import Arrival, Departure
from wharfside_agent.ports.store import Store, Tx
from wharfside_agent.services.migration.effects import Effects
from wharfside_agent.services.tasks import Tasks
from wharfside_protocol.errors import NotFound

log = structlog.get_logger(__name__)

Row = TypeVar("Row", Departure, Arrival)
Work = Coroutine[Any, Any, None]


class End(Protocol[Row]):
    """What differs between source and target."""

    unknown: str
    """What is said of an id that is not there, `{}` in it."""

    def stored(self, tx: Tx) -> Sequence[Row]:
        """All rows of this end."""
        ...

    def save(self, tx: Tx, row: Row) -> None: ...

    def step(
        self, row: Row, heard: Heard, changes: Mapping[str, Any]
    ) -> tuple[Row, tuple[Effect, ...]]:
        """The table's row for it. The very same `row`: its state stays, and so does all of it."""
        ...

    def changed(self, row: Row) -> None:
        """Its new state is committed, and nothing was begun for it yet."""
        ...

    def work(self, row: Row, effect: Effect, *, again: bool) -> Work | None:
        """None: there is nothing to begin. `again`: a former life may have begun it."""
        ...


class Ledger(Generic[Row]):
    def __init__(self, end: End[Row], store: Store, tasks: Tasks) -> None:
        self._end: End[Row] = end
        self._store = store
        self._rows: dict[str, Row] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self.effects = Effects(tasks)

    async def load(self) -> None:
        for row in await self._store.transact(self._end.stored):
            self._rows[row.id] = row

    def __contains__(self, migration: str) -> bool:
        return migration in self._rows

    def __getitem__(self, migration: str) -> Row:
        return self._rows[migration]

    def find(self, migration: str) -> Row | None:
        return self._rows.get(migration)

    def get(self, migration: str) -> Row:
        """Raises NotFound."""
        row = self._rows.get(migration)
        if row is None:
            raise NotFound(self._end.unknown.format(migration))
        return row

    @property
    def rows(self) -> list[Row]:
        return list(self._rows.values())

    def enter(self, row: Row) -> None:
        """One that is committed already."""
        self._rows[row.id] = row

    async def save(self, row: Row, also: Callable[[Tx], None] = lambda _tx: None) -> Row:
        """Not cut short: memory and store stay one. `also`: in the same transaction."""

        def journal(tx: Tx) -> None:
            self._end.save(tx, row)
            also(tx)

        durable = row.state in WITH_FSYNC
        await asyncio.shield(self._store.transact(journal, durable=durable))
        self._rows[row.id] = row
        return row

    async def change(self, migration: str, change: Callable[[Row], Row]) -> Row:
        """What is no step, in its turn among them."""
        async with self._lock(migration):
            return await self.save(change(self._rows[migration]))

    async def feed(self, migration: str, heard: Heard, **changes: Any) -> None:
        """Raises NotFound."""
        async with self._lock(migration):
            before = self.get(migration)
            row, effects = self._end.step(before, heard, changes)
            if row is not before:
                await self.save(row)
                log.info("migration", id=migration, state=str(row.state), heard=str(heard))
                self._end.changed(row)
        self.act(row, effects)

    def act_on_entering(self, row: Row, *, again: bool = False) -> None:
        self.act(row, ON_ENTERING[row.state], again=again)

    def act(self, row: Row, effects: tuple[Effect, ...], *, again: bool = False) -> None:
        for effect in effects:
            if (work := self._end.work(row, effect, again=again)) is not None:
                self.effects.start(row.id, effect, work)

    def _lock(self, migration: str) -> asyncio.Lock:
        return self._locks.setdefault(migration, asyncio.Lock())
