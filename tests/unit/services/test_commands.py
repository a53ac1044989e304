"""The book of commands over a real store: joined, replayed, refused, adopted, forgotten."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from sqlite3 import OperationalError
from typing import Any, TypeVar

import pytest

from wharfside_agent.errors import DiskFull
from wharfside_agent.host import SystemClock
from wharfside_agent.ports.store import Tx
from wharfside_agent.services.commands.book import Commands
from wharfside_agent.services.commands.call import Call
from wharfside_agent.store.opening import open_store
from wharfside_agent.store.writer import SqliteStore
from wharfside_protocol.envelope import Command, Result
from wharfside_protocol.errors import Busy, Conflict, ErrorCode, NotFound
from wharfside_protocol.node_commands import Pong
from wharfside_protocol.times import to_timestamp

T = TypeVar("T")
VALUE = Pong(node="n1", at=to_timestamp(0), epoch=1)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = open_store(tmp_path / "store.sqlite", "n1", "boot", 0)
    yield store
    await store.close()


def book_on(store: SqliteStore) -> Commands:
    """A life of the agent: what is only in memory is not in the next one."""
    return Commands(store, SystemClock(), "n1")


def asked(book: Commands, id_: str = "command-1", **args: object) -> Call:
    return book.new_call(Command(id=id_, op="pause", node="n1", args={"container": "web", **args}))


async def accepted(book: Commands, call: Call) -> Call:
    found = await book.accept(call)
    assert found is call
    return call


async def test_a_new_command_is_running_then_done(store: SqliteStore) -> None:
    book = book_on(store)
    call = await accepted(book, asked(book))
    assert (await book.state_of("command-1")).state == "running"
    await book.finish(call, book.answers.success(call, VALUE))
    state = await book.state_of("command-1")
    assert state.state == "done"
    assert state.result is not None
    assert state.result.ok


async def test_a_repeat_joins_and_later_is_replayed_also_in_another_life(
    store: SqliteStore,
) -> None:
    book = book_on(store)
    first = await accepted(book, asked(book))
    assert await book.accept(asked(book)) is first
    await book.finish(first, book.answers.success(first, VALUE))
    for life in (book, book_on(store)):
        replay = await life.accept(asked(life))
        assert isinstance(replay, Result)
        assert replay.replayed
        assert replay.ok


async def test_another_body_is_a_conflict_while_it_runs_and_after(store: SqliteStore) -> None:
    book = book_on(store)
    first = await accepted(book, asked(book))
    with pytest.raises(Conflict):
        await book.accept(asked(book, force=True))
    await book.finish(first, book.answers.success(first, VALUE))
    with pytest.raises(Conflict):
        await book.accept(asked(book, force=True))
    assert isinstance(await book.accept(asked(book)), Result)


async def test_what_is_settled_in_a_change_is_kept_with_it(store: SqliteStore) -> None:
    book = book_on(store)
    call = await accepted(book, asked(book))
    await store.transact(lambda tx: call.settle(tx, VALUE))
    state = await book_on(store).state_of("command-1")
    assert state.result is not None
    assert state.result.ok


async def test_one_turned_away_may_come_again(store: SqliteStore) -> None:
    book = book_on(store)
    call = await accepted(book, asked(book))
    busy = Busy("full").to_body()
    await book.turn_away(call, book.answers.failure(call, busy))
    with pytest.raises(NotFound):
        await book.state_of("command-1")
    await accepted(book, asked(book))


async def test_a_former_lifes_commands_are_closed_but_for_the_adopted(
    store: SqliteStore,
) -> None:
    former = book_on(store)
    for id_ in ("command-1", "command-2"):
        await accepted(former, asked(former, id_))
    book = book_on(store)
    adopted = await book.adopt("command-1")
    assert adopted is not None
    assert await book.close_unfinished() == 1
    closed = (await book.state_of("command-2")).result
    assert closed is not None
    assert closed.error is not None
    assert closed.error.code is ErrorCode.CANCELED

    assert await book.accept(asked(book)) is adopted
    with pytest.raises(Conflict):
        await book.accept(asked(book, force=True))
    await book.finish(adopted, book.answers.success(adopted, VALUE))
    assert adopted.outcome is not None
    assert (await adopted.outcome).ok
    replay = await book.accept(asked(book))
    assert isinstance(replay, Result)
    assert (replay.ok, replay.op, replay.replayed) == (True, "pause", True)


@pytest.mark.parametrize("id_", [None, "never-seen", "command-1"])
async def test_nothing_to_adopt(store: SqliteStore, id_: str | None) -> None:
    book = book_on(store)
    call = await accepted(book, asked(book))
    await book.finish(call, book.answers.success(call, VALUE))
    assert await book_on(store).adopt(id_) is None


class Troubled:
    """The real store, whose next transactions fail as its disk does."""

    def __init__(self, store: SqliteStore, *errors: Exception) -> None:
        self._store = store
        self.errors = list(errors)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def transact(self, change: Callable[[Tx], T], *, durable: bool = False) -> T:
        if self.errors:
            raise self.errors.pop(0)
        return await self._store.transact(change, durable=durable)


async def test_a_command_that_the_store_does_not_take_leaves_its_id_free(
    store: SqliteStore,
) -> None:
    """Else every repeat would join one that nobody answers."""
    book = Commands(Troubled(store, OperationalError("disk I/O error")), SystemClock(), "n1")
    first = asked(book)
    with pytest.raises(OperationalError):
        await book.accept(first)
    assert first.outcome is not None and not first.outcome.result().ok
    await accepted(book, asked(book))


async def test_a_result_is_kept_before_it_is_answered(store: SqliteStore) -> None:
    """What was answered and not kept would be answered otherwise to a repeat."""
    troubled = Troubled(store)
    book = Commands(troubled, SystemClock(), "n1")
    call = await accepted(book, asked(book))
    troubled.errors = [DiskFull(), DiskFull()]
    assert call.outcome is not None
    await book.finish(call, book.answers.success(call, VALUE))
    assert troubled.errors == []
    assert call.outcome.result().ok
    state = await book.state_of("command-1")
    assert state.result is not None and state.result.ok
