"""The living containers in memory, and the one way to change one.

Truth is in the store: a change is committed first, with the event that tells it,
and seen in memory after. Changes of one container follow one another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from wharfside_agent.core import lifecycle
from wharfside_agent.core.fencing import check_fence
from wharfside_agent.core.lifecycle import Input
from wharfside_agent.ports.clock import Clock
from wharfside_agent.ports.rows import ContainerRow, EventDraft
from wharfside_agent.ports.store import Store, Tx
from wharfside_agent.services.life.figures import LifeFigures
from wharfside_agent.services.life.live import Live
from wharfside_agent.services.tasks import unbroken
from wharfside_agent.services.trace import current_trace
from wharfside_agent.spans import span
from wharfside_protocol.envelope import Expect
from wharfside_protocol.errors import AlreadyExists, NotFound
from wharfside_protocol.event_facts import facts
from wharfside_protocol.events import EventType
from wharfside_protocol.records import Record

Also = Callable[[Tx, ContainerRow], None]
"""More that belongs into the same transaction; it is given the new row."""


class Containers:
    """All that are not deleted, by name."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.figures = LifeFigures()
        self._store = store
        self._clock = clock
        self._by_name: dict[str, Live] = {}
        self._tell: list[Callable[[Live], None]] = []

    def on_commit(self, tell: Callable[[Live], None]) -> None:
        """`tell` is called after every commit, with the container that it changed."""
        self._tell.append(tell)

    def __iter__(self) -> Iterator[Live]:
        return iter(list(self._by_name.values()))

    def __len__(self) -> int:
        return len(self._by_name)

    def get(self, name: str) -> Live | None:
        return self._by_name.get(name)

    def find(self, name: str, expect: Expect | None = None) -> Live:
        """The living container of that name.

        Raises:
            NotFound: there is none.
            Stale: it is not the one that `expect` wants.
        """
        live = self._by_name.get(name)
        if live is None:
            raise NotFound(f"no container {name} on this node: `wharfside ps -a` lists all")
        row = live.row
        check_fence(expect, name, row.incarnation, row.run, row.revision)
        return live

    def add(self, live: Live) -> None:
        """Takes the name.

        Raises:
            AlreadyExists: it is taken.
        """
        self.check_free(live.row.name)
        self._by_name[live.row.name] = live

    @contextmanager
    def adding(self, live: Live) -> Iterator[None]:
        """As `add`; where what is done in here fails, the name is free again."""
        self.add(live)
        try:
            yield
        except BaseException:
            self.drop(live)
            raise

    def check_free(self, name: str) -> None:
        """Raises AlreadyExists: it is taken."""
        taken = self._by_name.get(name)
        if taken is not None:
            raise AlreadyExists(
                f"{name} exists ({taken.row.state}): delete it, or choose another name",
                incarnation=taken.row.incarnation,
                state=str(taken.row.state),
            )

    def drop(self, live: Live) -> None:
        """Frees the name; an end that nobody told will not be told any more."""
        self._by_name.pop(live.row.name, None)
        live.tell_changed()
        for process in live.processes.values():
            if not process.ended.done():
                process.ended.cancel()

    def draft(
        self,
        row: ContainerRow,
        type_: EventType,
        data: Record | None = None,
        *,
        process: str | None = None,
        occurred_at: int | None = None,
        cause: str | None = None,
    ) -> EventDraft:
        """An event of `row`, observed now."""
        now = self._clock.now()
        return EventDraft(
            type=type_,
            container=row.name,
            incarnation=row.incarnation,
            run=row.run,
            revision=row.revision,
            process=process,
            occurred_at=now if occurred_at is None else min(occurred_at, now),
            observed_at=now,
            labels=row.spec.labels,
            cause=cause,
            trace=current_trace(),
            data={} if data is None else facts(data),
        )

    async def advance(
        self,
        live: Live,
        input_: Input,
        data: Record | None = None,
        *,
        changes: dict[str, Any] | None = None,
        process: str | None = None,
        occurred_at: int | None = None,
        cause: str | None = None,
        before: Sequence[EventDraft] = (),
        also: Also | None = None,
    ) -> ContainerRow:
        """Moves the container along the table: one commit of row, events and `also`.

        Raises:
            WrongState: the table has no such row; nothing was changed.
        """
        async with live.commits:
            step = lifecycle.advance(live.row.state, input_, live.row.name)
            row = msgspec.structs.replace(
                live.row,
                state=step.next or live.row.state,
                revision=live.row.revision + step.raises_revision,
                **(changes or {}),
            )
            drafts = list(before)
            if step.event is not None:
                drafts.append(
                    self.draft(
                        row,
                        step.event,
                        data,
                        process=process,
                        occurred_at=occurred_at,
                        cause=cause,
                    )
                )
            return await unbroken(self._commit(live, row, drafts, also))

    async def commit(
        self,
        live: Live,
        drafts: Sequence[EventDraft] = (),
        *,
        changes: dict[str, Any] | None = None,
        also: Also | None = None,
        guard: Callable[[], None] | None = None,
    ) -> ContainerRow:
        """A change that is no step along the table: facts of the row, events of execs.

        `guard` is called when no other change of the container can come between any
        more; what it raises goes through, and nothing was changed.
        """
        async with live.commits:
            if guard is not None:
                guard()
            row = msgspec.structs.replace(live.row, **(changes or {}))
            return await unbroken(self._commit(live, row, drafts, also))

    async def _commit(
        self, live: Live, row: ContainerRow, drafts: Sequence[EventDraft], also: Also | None
    ) -> ContainerRow:
        """Drafts may be older than the commit before this one: their revision is the row's."""

        with span("commit") as traced:

            def change(tx: Tx) -> None:
                if row is not live.row:
                    tx.save_container(row)
                for draft in drafts:
                    trace = traced.traceparent or draft.trace
                    tx.append_event(
                        msgspec.structs.replace(draft, revision=row.revision, trace=trace)
                    )
                if also is not None:
                    also(tx, row)

            await self._store.transact(change)
        self.figures.note(drafts)
        live.row = row
        live.tell_changed()
        for tell in self._tell:
            tell(live)
        return row
