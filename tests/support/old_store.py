"""A store as the first version of the agent left it, for those that must be able to read it.

The text of its tables is frozen here: it is what is on the disks of nodes, whatever the
code says today.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

SCHEMA_1 = """
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

_COLUMNS = {
    "meta": "key, value",
    "containers": "incarnation, name, deleted_at, body",
    "processes": "incarnation, run, process, exec_ended_at, body",
    "intents": "incarnation, op, process, body",
    "commands": "id, phase, finished_at, body",
    "outbox": "place, epoch, seq, lane, event, trace",
    "lanes": "lane, last_acked, last_epoch, last_seq",
}

META = frozenset({"node", "node_id", "boot_id", "epoch", "seq"})
"""What the first version kept in `meta`."""


def make_schema_1(path: Path) -> sqlite3.Connection:
    """An empty store of schema 1; the caller closes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(path, isolation_level=None)
    db.executescript(f"{SCHEMA_1}PRAGMA user_version=1;")
    return db


def rewrite_as_schema_1(path: Path) -> None:
    """The store of an agent that is down, as if the first version had written it."""
    old = path.with_suffix(".schema-1")
    db = make_schema_1(old)
    db.execute("ATTACH ? AS now", (str(path),))
    for table, columns in _COLUMNS.items():
        db.execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM now.{table}")
    marks = ", ".join("?" * len(META))
    db.execute(f"DELETE FROM meta WHERE key NOT IN ({marks})", tuple(META))
    db.execute("DETACH now")
    db.close()
    for leftover in path.parent.glob(f"{path.name}-*"):
        leftover.unlink()
    old.rename(path)


def schema_of(path: Path) -> int:
    db = sqlite3.connect(path)
    try:
        return int(db.execute("PRAGMA user_version").fetchone()[0])
    finally:
        db.close()
