"""The store's file opened or made, in the state in which the writer may use it."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path

from wharfside_agent.errors import StartError
from wharfside_agent.ports.store import Identity
from wharfside_agent.store.identity import claim
from wharfside_agent.store.reserve import DEFAULT_BYTES, Reserve, is_full
from wharfside_agent.store.room import DEFAULT_MAX_EVENTS, DROPPED_KEY, Room
from wharfside_agent.store.schema import migrate
from wharfside_agent.store.writer import SqliteStore


def open_store(
    path: Path,
    node: str,
    boot_id: str,
    now: int,
    *,
    max_events: int = DEFAULT_MAX_EVENTS,
    reserve_bytes: int = DEFAULT_BYTES,
) -> SqliteStore:
    """Opens or makes the store of `node`; call it on the loop that will use it.

    Raises:
        ForeignStore, SchemaTooNew: the store is not for this agent.
        StartError: the disk is full.
        sqlite3.DatabaseError: it cannot be read.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    reserve = Reserve(path.with_name("reserve"), reserve_bytes)
    while True:
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            identity = _opened(db, node, boot_id, now, str(path.stat().st_ino))
            room = _room(db, max_events)
            break
        except BaseException as error:
            db.close()
            if not is_full(error):
                raise
            if not reserve.give():
                raise StartError(f"{path.parent}: the disk is full: free some space") from error
    reserve.rebuild()
    return SqliteStore(db, identity, room, reserve)


def _opened(db: sqlite3.Connection, node: str, boot_id: str, now: int, file: str) -> Identity:
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA busy_timeout=5000")
    db.execute("PRAGMA wal_autocheckpoint=0")
    db.execute("PRAGMA synchronous=FULL")
    _fold_in_the_log(db)
    migrate(db)
    db.execute("BEGIN IMMEDIATE")
    identity = claim(db, node, boot_id, now, file)
    db.execute("COMMIT")
    db.execute("PRAGMA synchronous=NORMAL")
    return identity


def _room(db: sqlite3.Connection, max_events: int) -> Room:
    (waiting,) = db.execute("SELECT count(*) FROM outbox").fetchone()
    dropped = db.execute("SELECT 1 FROM meta WHERE key = ?", (DROPPED_KEY,)).fetchone()
    return Room(waiting, max_events, dropping=dropped is not None)


def _fold_in_the_log(db: sqlite3.Connection) -> None:
    """What former lives left in the log: an agent that is killed before CHECKPOINT_COMMITS, again
    and again, would else fill the disk with it. On a disk that is full already it stays."""
    with suppress(sqlite3.OperationalError):
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
