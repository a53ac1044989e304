"""A store of schema 1, with rows, becomes one of today's schema and keeps them all."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import msgspec
from tests.unit.store.test_store import NOW, opened

from wharfside_agent.ports.rows import CommandPhase, ReportKind, ReportRow, Row, ShipmentRow
from wharfside_agent.store.schema import MIGRATIONS, SCHEMA_VERSION


class CommandRowOf1(Row, frozen=True, kw_only=True):
    """As the agent of schema 1 wrote it."""

    id: str
    op: str
    digest: str
    phase: str
    received_at: int
    result: bytes | None = None
    finished_at: int | None = None


def store_of_1(folder: Path) -> None:
    db = sqlite3.connect(folder / "store.sqlite", isolation_level=None)
    db.executescript(f"BEGIN;{MIGRATIONS[0]}PRAGMA user_version=1;COMMIT;")
    for id_, phase in (("command-1", "done"), ("command-2", "running")):
        row = CommandRowOf1(id=id_, op="pause", digest="d", phase=phase, received_at=NOW)
        db.execute(
            "INSERT INTO commands VALUES (?, ?, ?, ?)",
            (id_, phase, None, msgspec.msgpack.encode(row)),
        )
    for key, value in (("node", "n1"), ("node_id", "ID"), ("boot_id", "boot-1"), ("epoch", "7")):
        db.execute("INSERT INTO meta VALUES (?, ?)", (key, value))
    db.close()


async def test_from_1_to_today(tmp_path: Path) -> None:
    store_of_1(tmp_path)
    store = opened(tmp_path)
    assert (store.identity.node_id, store.identity.new_store) == ("ID", False)
    rows = await store.transact(lambda tx: tx.commands_before(None, 10))
    assert [(row.id, row.phase, row.durable) for _, row in rows] == [
        ("command-2", CommandPhase.RUNNING, False),
        ("command-1", CommandPhase.DONE, False),
    ]
    report = ReportRow(command="command-1", kind=ReportKind.RESULT, payload=b"r")
    await store.transact(lambda tx: tx.report(report))
    shipment = ShipmentRow(incarnation="I", run=1, process="init", offset=5)
    await store.transact(lambda tx: tx.save_shipment(shipment))
    assert await store.transact(lambda tx: tx.unfinished_shipments()) == [shipment]
    await store.close()
    db = sqlite3.connect(tmp_path / "store.sqlite")
    assert db.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    assert db.execute("SELECT command, kind FROM reports").fetchall() == [("command-1", "result")]
    db.close()
