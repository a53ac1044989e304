"""SQLite behind one door: a change is committed at once, or handed to the writer's thread.

WAL with synchronous=NORMAL: a commit survives the agent's death, not a power cut;
a durable one is committed with synchronous=FULL (fsync of the log) and survives both.

A commit without fsync is a write into the page cache, some 50 us: less than it costs to
wake a thread and to hand the interpreter to and fro. So the loop commits itself, and
whatever may wait for the disk is the thread's: fsyncs, checkpoints of the log, and
everything as long as the disk is slow (a full page cache holds up every writer). One of
the two has the connection at any time; what the thread has not yet done stays before
what comes after it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from wharfside_agent.core.figures import COMMIT_S, Histogram
from wharfside_agent.disk_pace import DiskPace
from wharfside_agent.errors import DiskFull
from wharfside_agent.ports.rows import OutboxRow
from wharfside_agent.ports.store import Identity, Tx
from wharfside_agent.store.reserve import Reserve, is_full
from wharfside_agent.store.room import Room
from wharfside_agent.store.transaction import SqliteTx
from wharfside_protocol.errors import Busy

T = TypeVar("T")

MAX_WAITING = 10_000
"""Changes that may wait; beyond it `Busy` is told instead of memory being filled."""

MAX_BATCH = 256
"""Changes that share one commit, so that the first of them does not wait for long."""

CHECKPOINT_COMMITS = 500
"""After so many the log is brought into the database: it has grown by some 10 MiB."""


@dataclass(slots=True)
class _Job:
    change: Callable[[Tx], Any]
    durable: bool
    future: asyncio.Future[Any]
    value: Any = None
    error: BaseException | None = None


class SqliteStore:
    """See ports.store.Store. Made by opening.open_store; lives on the loop that runs then."""

    def __init__(
        self, db: sqlite3.Connection, identity: Identity, room: Room, reserve: Reserve
    ) -> None:
        self._db = db
        self._identity = identity
        self._room = room
        self._reserve = reserve
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._tell: Callable[[Sequence[OutboxRow]], None] = lambda _rows: None
        self._tell_reported: Callable[[], None] = lambda: None
        self._thread = threading.Thread(target=self._write, name="store", daemon=True)
        self._closed = False
        self._handed_over = 0
        self._commits = 0
        self._pace = DiskPace()
        self._commit_seconds = {"loop": Histogram(COMMIT_S), "thread": Histogram(COMMIT_S)}
        self._thread.start()

    @property
    def identity(self) -> Identity:
        return self._identity

    @property
    def room(self) -> Room:
        return self._room

    @property
    def commit_seconds(self) -> Mapping[str, Histogram]:
        return self._commit_seconds

    @property
    def reserve(self) -> Reserve:
        return self._reserve

    @property
    def disk_full(self) -> bool:
        return not self._reserve.whole

    def keep_room(self) -> bool:
        """Takes back what was given up of the reserve, once there is room; in a thread."""
        return self._reserve.rebuild()

    def on_appended(self, tell: Callable[[Sequence[OutboxRow]], None]) -> None:
        self._tell = tell

    def on_reported(self, tell: Callable[[], None]) -> None:
        self._tell_reported = tell

    async def transact(self, change: Callable[[Tx], T], *, durable: bool = False) -> T:
        if self._closed:
            raise Busy("the agent is going down: send it again to its next life")
        if durable or self._is_the_threads_turn():
            return await self._hand_over(change, durable)
        return self._commit_at_once(change)

    def _is_the_threads_turn(self) -> bool:
        return self._handed_over > 0 or self._commits >= CHECKPOINT_COMMITS or not self._pace.quick

    async def _hand_over(self, change: Callable[[Tx], T], durable: bool) -> T:
        if self._handed_over >= MAX_WAITING:
            raise Busy(f"{MAX_WAITING} changes wait for the disk: try again later")
        future: asyncio.Future[T] = self._loop.create_future()
        self._handed_over += 1
        self._jobs.put(_Job(change, durable, future))
        return await future

    def _commit_at_once(self, change: Callable[[Tx], T]) -> T:
        while True:
            try:
                with self._pace.watched():
                    value, tx = self._commit_once(change)
                self._tell_of(tx)
                return value
            except sqlite3.Error as error:
                self._make_room_or_raise(error)

    def _make_room_or_raise(self, error: sqlite3.Error) -> None:
        """Raises DiskFull where nothing is left to give; another error goes through."""
        if not is_full(error):
            raise error
        if not self._reserve.give():
            raise DiskFull from error

    def _commit_once(self, change: Callable[[Tx], T]) -> tuple[T, SqliteTx]:
        began = time.monotonic()
        tx = SqliteTx(self._db, self._identity, self._room)
        self._db.execute("BEGIN IMMEDIATE")
        try:
            value = change(tx)
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        self._commit_seconds["loop"].observe(time.monotonic() - began)
        self._commits += 1
        self._room = tx.room
        return value, tx

    def _tell_of(self, tx: SqliteTx) -> None:
        if tx.appended:
            self._tell(tx.appended)
        if tx.reported:
            self._tell_reported()

    async def close(self) -> None:
        """Writes what waits, then closes; a later `transact` is refused."""
        if self._closed:
            return
        self._closed = True
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    def _write(self) -> None:
        going = True
        while going:
            batch, going = self._next_batch()
            self._checkpoint_if_due()
            tx = self._commit_batch(batch)
            self._loop.call_soon_threadsafe(self._deliver, batch, tx.appended, tx.reported)
        self._db.close()

    def _commit_batch(self, batch: list[_Job]) -> SqliteTx:
        """Its transaction; an empty one where it could not be committed."""
        while True:
            tx = SqliteTx(self._db, self._identity, self._room)
            try:
                self._commit(batch, tx)
                self._room = tx.room
                return tx
            except sqlite3.Error as error:
                try:
                    self._make_room_or_raise(error)
                except (sqlite3.Error, DiskFull) as final:
                    for job in batch:
                        job.error = final
                    return SqliteTx(self._db, self._identity, self._room)

    def _next_batch(self) -> tuple[list[_Job], bool]:
        batch: list[_Job] = []
        job = self._jobs.get()
        while job is not None:
            batch.append(job)
            if len(batch) == MAX_BATCH or self._jobs.empty():
                return batch, True
            job = self._jobs.get()
        return batch, False

    def _checkpoint_if_due(self) -> None:
        """Before the commit, not after it: the first to write behind a checkpoint begins the
        log anew, with an fsync. SQLite's own checkpoints are off."""
        if self._commits >= CHECKPOINT_COMMITS:
            self._commits = 0
            with suppress(sqlite3.Error):  # a full disk: the log grows on, until there is room
                self._db.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def _commit(self, batch: list[_Job], tx: SqliteTx) -> None:
        began = time.monotonic()
        durable = any(job.durable for job in batch)
        if durable:
            self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for job in batch:
                self._run(job, tx)
            self._db.execute("COMMIT")
        except sqlite3.Error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        finally:
            self._commits += 1
            self._commit_seconds["thread"].observe(time.monotonic() - began)
            if durable:
                self._db.execute("PRAGMA synchronous=NORMAL")

    def _run(self, job: _Job, tx: SqliteTx) -> None:
        """One change in a savepoint: what it raises undoes it alone."""
        told, room = len(tx.appended), dataclasses.replace(tx.room)
        self._db.execute("SAVEPOINT change")
        job.error = None
        try:
            job.value = job.change(tx)
        except Exception as error:
            if is_full(error):
                raise
            self._db.execute("ROLLBACK TO change")
            del tx.appended[told:]
            tx.room = room
            job.error = error
        self._db.execute("RELEASE change")

    def _deliver(self, batch: list[_Job], appended: list[OutboxRow], reported: bool) -> None:
        self._handed_over -= len(batch)
        for job in batch:
            if job.future.done():
                continue
            if job.error is None:
                job.future.set_result(job.value)
            else:
                job.future.set_exception(job.error)
        if appended:
            self._tell(appended)
        if reported:
            self._tell_reported()
