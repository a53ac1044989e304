"""The tables of what is kept as it is given: each method one or two statements, nothing remembered.

What goes out (events, reports) has an order of its own: transaction.py.
"""

from __future__ import annotations

import sqlite3
from typing import TypeVar

import msgspec

from wharfside_agent.ports.rows import (
    Arrival,
    AuditRow,
    CommandPhase,
    CommandRow,
    ContainerRow,
    Departure,
    Intent,
    ProcessRow,
    ReportKind,
    ReportRow,
    Row,
    ShipmentRow,
)
from wharfside_protocol.states import INIT
from wharfside_protocol.times import from_timestamp

R = TypeVar("R", bound=Row)
encode_row = msgspec.msgpack.Encoder().encode
_LAST = 2**63 - 1


def _rows(cursor: sqlite3.Cursor, kind: type[R]) -> list[R]:
    return [msgspec.msgpack.decode(body, type=kind) for (body,) in cursor]


def _row(cursor: sqlite3.Cursor, kind: type[R]) -> R | None:
    found = _rows(cursor, kind)
    return found[0] if found else None


def _exec_ended_at(row: ProcessRow) -> int | None:
    """init's record stays as long as its run is the present one; an exec's may go before."""
    if row.process == INIT or row.exit is None:
        return None
    return from_timestamp(row.exit.exited_at)


class Tables:
    """The part of ports.store.Tx that only keeps rows."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def meta(self, key: str) -> str | None:
        found = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return found[0] if found else None

    def set_meta(self, key: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def container(self, incarnation: str) -> ContainerRow | None:
        sql = "SELECT body FROM containers WHERE incarnation = ?"
        return _row(self._db.execute(sql, (incarnation,)), ContainerRow)

    def last_of_name(self, name: str) -> ContainerRow | None:
        sql = "SELECT body FROM containers WHERE name = ? ORDER BY incarnation DESC LIMIT 1"
        return _row(self._db.execute(sql, (name,)), ContainerRow)

    def containers(self) -> list[ContainerRow]:
        sql = "SELECT body FROM containers WHERE deleted_at IS NULL ORDER BY incarnation"
        return _rows(self._db.execute(sql), ContainerRow)

    def names(self) -> list[str]:
        sql = "SELECT DISTINCT name FROM containers ORDER BY name"
        return [name for (name,) in self._db.execute(sql)]

    def save_container(self, row: ContainerRow) -> None:
        self._db.execute(
            "INSERT INTO containers VALUES (?, ?, ?, ?) ON CONFLICT (incarnation)"
            " DO UPDATE SET deleted_at = excluded.deleted_at, body = excluded.body",
            (row.incarnation, row.name, row.deleted_at, encode_row(row)),
        )

    def processes(self, incarnation: str, run: int) -> list[ProcessRow]:
        sql = "SELECT body FROM processes WHERE incarnation = ? AND run = ? ORDER BY rowid"
        return _rows(self._db.execute(sql, (incarnation, run)), ProcessRow)

    def save_process(self, row: ProcessRow) -> None:
        self._db.execute(
            "INSERT INTO processes VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (incarnation, run, process) DO UPDATE"
            " SET exec_ended_at = excluded.exec_ended_at, body = excluded.body",
            (row.incarnation, row.run, row.process, _exec_ended_at(row), encode_row(row)),
        )

    def retire_run(self, incarnation: str, run: int, now: int) -> None:
        self._db.execute(
            "UPDATE processes SET exec_ended_at = ?"
            " WHERE incarnation = ? AND run = ? AND exec_ended_at IS NULL",
            (now, incarnation, run),
        )

    def intents(self) -> list[Intent]:
        return _rows(self._db.execute("SELECT body FROM intents"), Intent)

    def save_intent(self, intent: Intent) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO intents VALUES (?, ?, ?, ?)",
            (intent.incarnation, intent.op, intent.process or "", encode_row(intent)),
        )

    def close_intent(self, incarnation: str, op: str, process: str | None = None) -> None:
        self._db.execute(
            "DELETE FROM intents WHERE incarnation = ? AND op = ? AND process = ?",
            (incarnation, op, process or ""),
        )

    def close_intents(self, incarnation: str, *, but: str | None = None) -> None:
        sql = "DELETE FROM intents WHERE incarnation = ? AND op IS NOT ?"
        self._db.execute(sql, (incarnation, but))

    def command(self, command_id: str) -> CommandRow | None:
        sql = "SELECT body FROM commands WHERE id = ?"
        return _row(self._db.execute(sql, (command_id,)), CommandRow)

    def save_command(self, row: CommandRow) -> None:
        # Not REPLACE: that would give the row a new rowid, which is the order of arrival.
        self._db.execute(
            "INSERT INTO commands VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
            " phase = excluded.phase, finished_at = excluded.finished_at, body = excluded.body",
            (row.id, row.phase, row.finished_at, encode_row(row)),
        )

    def forget_command(self, command_id: str) -> None:
        self._db.execute("DELETE FROM commands WHERE id = ?", (command_id,))

    def unfinished_commands(self) -> list[CommandRow]:
        sql = "SELECT body FROM commands WHERE phase = ?"
        return _rows(self._db.execute(sql, (CommandPhase.RUNNING,)), CommandRow)

    def waiting_commands(self) -> list[CommandRow]:
        sql = "SELECT body FROM commands WHERE phase = ? ORDER BY rowid"
        return _rows(self._db.execute(sql, (CommandPhase.ACCEPTED,)), CommandRow)

    def commands_before(self, place: int | None, limit: int) -> list[tuple[int, CommandRow]]:
        sql = "SELECT rowid, body FROM commands WHERE rowid < ? ORDER BY rowid DESC LIMIT ?"
        found = self._db.execute(sql, (_LAST if place is None else place, limit))
        return [(at, msgspec.msgpack.decode(body, type=CommandRow)) for at, body in found]

    def reports(self, after_place: int, limit: int) -> list[ReportRow]:
        sql = (
            "SELECT place, command, kind, payload, trace FROM reports"
            " WHERE place > ? ORDER BY place LIMIT ?"
        )
        return [
            ReportRow(
                place=place, command=command, kind=ReportKind(kind), payload=payload, trace=trace
            )
            for place, command, kind, payload, trace in self._db.execute(sql, (after_place, limit))
        ]

    def forget_report(self, place: int) -> None:
        self._db.execute("DELETE FROM reports WHERE place = ?", (place,))

    def audit(self, row: AuditRow) -> None:
        self._db.execute("INSERT INTO audits (body) VALUES (?)", (encode_row(row),))

    def audits(self, limit: int) -> list[tuple[int, AuditRow]]:
        found = self._db.execute("SELECT place, body FROM audits ORDER BY place LIMIT ?", (limit,))
        return [(at, msgspec.msgpack.decode(body, type=AuditRow)) for at, body in found]

    def forget_audits(self, through: int) -> None:
        self._db.execute("DELETE FROM audits WHERE place <= ?", (through,))

    def trim_audits(self, keep: int) -> int:
        sql = "DELETE FROM audits WHERE place <= (SELECT max(place) FROM audits) - ?"
        return self._db.execute(sql, (keep,)).rowcount

    def shipment(self, incarnation: str, run: int, process: str) -> ShipmentRow | None:
        sql = "SELECT body FROM shipments WHERE incarnation = ? AND run = ? AND process = ?"
        return _row(self._db.execute(sql, (incarnation, run, process)), ShipmentRow)

    def save_shipment(self, row: ShipmentRow) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO shipments VALUES (?, ?, ?, ?, ?)",
            (row.incarnation, row.run, row.process, row.done, encode_row(row)),
        )

    def unfinished_shipments(self) -> list[ShipmentRow]:
        return _rows(self._db.execute("SELECT body FROM shipments WHERE NOT done"), ShipmentRow)

    def forget_shipments(self, incarnation: str) -> None:
        self._db.execute("DELETE FROM shipments WHERE incarnation = ?", (incarnation,))

    def departures(self) -> list[Departure]:
        sql = "SELECT body FROM moves WHERE side = 'source' ORDER BY id"
        return _rows(self._db.execute(sql), Departure)

    def save_departure(self, row: Departure) -> None:
        self._save_move(row.id, "source", row.over_at, row)

    def arrivals(self) -> list[Arrival]:
        sql = "SELECT body FROM moves WHERE side = 'target' ORDER BY id"
        return _rows(self._db.execute(sql), Arrival)

    def save_arrival(self, row: Arrival) -> None:
        self._save_move(row.id, "target", row.over_at, row)

    def _save_move(self, id_: str, side: str, over_at: int | None, row: Row) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO moves VALUES (?, ?, ?, ?)",
            (id_, side, over_at, encode_row(row)),
        )

    def prune(self, deleted_before: int, finished_before: int) -> int:
        old = "SELECT incarnation FROM containers WHERE deleted_at < ?"
        self._db.execute(f"DELETE FROM processes WHERE incarnation IN ({old})", (deleted_before,))
        self._db.execute("DELETE FROM processes WHERE exec_ended_at < ?", (deleted_before,))
        gone = self._db.execute("DELETE FROM containers WHERE deleted_at < ?", (deleted_before,))
        done = self._db.execute("DELETE FROM commands WHERE finished_at < ?", (finished_before,))
        moved = self._db.execute("DELETE FROM moves WHERE over_at < ?", (finished_before,))
        return gone.rowcount + done.rowcount + moved.rowcount
