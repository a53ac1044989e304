"""The store's tables, and how a store of an older schema becomes one of this.

Rows are msgspec's own msgpack in `body`, beside the few columns that are looked
up or ordered by: a new field with a default needs no migration.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from wharfside_agent.errors import StartError

SCHEMA_VERSION = 5

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE containers (
    incarnation TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    deleted_at INTEGER,
    body BLOB NOT NULL
);
CREATE INDEX containers_by_name ON containers (name, incarnation);
CREATE UNIQUE INDEX one_living_of_a_name ON containers (name) WHERE deleted_at IS NULL;
CREATE TABLE processes (
    incarnation TEXT NOT NULL,
    run INTEGER NOT NULL,
    process TEXT NOT NULL,
    exec_ended_at INTEGER,
    body BLOB NOT NULL,
    PRIMARY KEY (incarnation, run, process)
);
CREATE INDEX processes_by_end ON processes (exec_ended_at) WHERE exec_ended_at IS NOT NULL;
CREATE TABLE intents (
    incarnation TEXT NOT NULL,
    op TEXT NOT NULL,
    process TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (incarnation, op, process)
) WITHOUT ROWID;
CREATE TABLE commands (
    id TEXT PRIMARY KEY,
    phase TEXT NOT NULL,
    finished_at INTEGER,
    body BLOB NOT NULL
);
CREATE INDEX commands_by_phase ON commands (phase, finished_at);
CREATE TABLE outbox (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    lane TEXT NOT NULL,
    event BLOB NOT NULL,
    trace TEXT
);
CREATE TABLE lanes (
    lane TEXT PRIMARY KEY,
    last_acked INTEGER,
    last_epoch INTEGER NOT NULL DEFAULT 0,
    last_seq INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
"""

_REPORTS = """
CREATE TABLE reports (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    command TEXT NOT NULL,
    kind TEXT NOT NULL,
    payload BLOB NOT NULL,
    trace TEXT,
    UNIQUE (command, kind)
);
"""

_SHIPMENTS = """
CREATE TABLE shipments (
    incarnation TEXT NOT NULL,
    run INTEGER NOT NULL,
    process TEXT NOT NULL,
    done INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (incarnation, run, process)
) WITHOUT ROWID;
"""

_MOVES = """
CREATE TABLE moves (
    id TEXT NOT NULL,
    side TEXT NOT NULL,
    over_at INTEGER,
    body BLOB NOT NULL,
    PRIMARY KEY (id, side)
) WITHOUT ROWID;
"""

_AUDITS = """
CREATE TABLE audits (place INTEGER PRIMARY KEY, body BLOB NOT NULL);
"""

MIGRATIONS: Sequence[str] = (_TABLES, _REPORTS, _SHIPMENTS, _MOVES, _AUDITS)
"""MIGRATIONS[n] makes schema n + 1 of schema n."""


class SchemaTooNew(StartError):
    """The store was written by a later version of the agent; run that one, or a newer."""


def migrate(db: sqlite3.Connection) -> None:
    """Brings the store to SCHEMA_VERSION, each step in a transaction of its own.

    Raises:
        SchemaTooNew: it is beyond it already.
    """
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise SchemaTooNew(
            f"the store has schema {version}, this agent knows {SCHEMA_VERSION}: "
            "start the agent version that wrote it, or a newer one"
        )
    for number, script in enumerate(MIGRATIONS[version:], version + 1):
        db.executescript(f"BEGIN;{script}PRAGMA user_version={number};COMMIT;")
