"""Tx over SQLite: each method one or two statements, nothing remembered between them."""

from __future__ import annotations

import dataclasses
import sqlite3
from typing import TypeVar

import msgspec
from ulid import ULID

from wharfside_agent.ports.rows import (
    Arrival,
    AuditRow,
    CommandPhase,
    CommandRow,
    ContainerRow,
    Departure,
    EventDraft,
    Intent,
    LaneRow,
    OutboxRow,
    ProcessRow,
    ReportKind,
    ReportRow,
    Row,
    ShipmentRow,
)
from wharfside_agent.ports.store import Identity
from wharfside_agent.store.room import (
    DROPPED_KEY,
    Room,
    encode_dropped,
    parse_dropped,
    with_drop,
)
from wharfside_protocol.event_facts import EventsDropped, facts
from wharfside_protocol.events import Event, EventType
from wharfside_protocol.states import INIT
from wharfside_protocol.subjects import NODE_TOKEN
from wharfside_protocol.times import from_timestamp, to_timestamp

R = TypeVar("R", bound=Row)
_encode = msgspec.msgpack.Encoder().encode
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


class SqliteTx:
    """See ports.store.Tx. Lives on the writer's thread, inside one savepoint at a time."""

    def __init__(self, db: sqlite3.Connection, identity: Identity, room: Room) -> None:
        self._db = db
        self._identity = identity
        self.room = dataclasses.replace(room)
        self.appended: list[OutboxRow] = []
        self.reported = False

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
            (row.incarnation, row.name, row.deleted_at, _encode(row)),
        )

    def processes(self, incarnation: str, run: int) -> list[ProcessRow]:
        sql = "SELECT body FROM processes WHERE incarnation = ? AND run = ? ORDER BY rowid"
        return _rows(self._db.execute(sql, (incarnation, run)), ProcessRow)

    def save_process(self, row: ProcessRow) -> None:
        self._db.execute(
            "INSERT INTO processes VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (incarnation, run, process) DO UPDATE"
            " SET exec_ended_at = excluded.exec_ended_at, body = excluded.body",
            (row.incarnation, row.run, row.process, _exec_ended_at(row), _encode(row)),
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
            (intent.incarnation, intent.op, intent.process or "", _encode(intent)),
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
            (row.id, row.phase, row.finished_at, _encode(row)),
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

    def report(self, row: ReportRow) -> None:
        self._db.execute(
            "INSERT OR IGNORE INTO reports (command, kind, payload, trace) VALUES (?, ?, ?, ?)",
            (row.command, row.kind, row.payload, row.trace),
        )
        self.reported = True

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
        self._db.execute("INSERT INTO audits (body) VALUES (?)", (_encode(row),))

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
            (row.incarnation, row.run, row.process, row.done, _encode(row)),
        )

    def unfinished_shipments(self) -> list[ShipmentRow]:
        return _rows(self._db.execute("SELECT body FROM shipments WHERE NOT done"), ShipmentRow)

    def forget_shipments(self, incarnation: str) -> None:
        self._db.execute("DELETE FROM shipments WHERE incarnation = ?", (incarnation,))

    def append_event(self, draft: EventDraft) -> OutboxRow | None:
        lane = draft.container or NODE_TOKEN
        last_acked, previous = self._standing(lane)
        event = self._placed(draft, previous)
        self._db.execute(
            "INSERT INTO lanes (lane, last_epoch, last_seq) VALUES (?, ?, ?) ON CONFLICT (lane)"
            " DO UPDATE SET last_epoch = excluded.last_epoch, last_seq = excluded.last_seq",
            (lane, event.epoch, event.seq),
        )
        if not self.room.takes(draft.type):
            self._drop(event)
            return None
        return self._append(lane, event, draft.trace, last_acked)

    def _append(
        self, lane: str, event: Event, trace: str | None, last_acked: int | None
    ) -> OutboxRow:
        body = _encode(event)
        cursor = self._db.execute(
            "INSERT INTO outbox (epoch, seq, lane, event, trace) VALUES (?, ?, ?, ?, ?)",
            (event.epoch, event.seq, lane, body, trace),
        )
        assert cursor.lastrowid is not None
        row = OutboxRow(
            place=cursor.lastrowid, lane=lane, event=body, trace=trace, last_acked=last_acked
        )
        self.appended.append(row)
        self.room.waiting += 1
        return row

    def _drop(self, event: Event) -> None:
        """The gap that it leaves is remembered in the same transaction."""
        dropped = parse_dropped(self.meta(DROPPED_KEY))
        dropped = with_drop(dropped, event.epoch, event.seq, event.type)
        self.set_meta(DROPPED_KEY, encode_dropped(dropped))
        self.room.dropping = True

    def tell_dropped(self, now: int) -> bool:
        if not (self.room.dropping and self.room.wants_relief):
            return False
        self.room.dropping = False
        for each in parse_dropped(self.meta(DROPPED_KEY)):
            data = EventsDropped(
                epoch=each.epoch,
                from_seq=each.first,
                to_seq=each.last,
                types=[EventType(name) for name in each.types],
            )
            type_ = EventType.EVENTS_DROPPED
            draft = EventDraft(type=type_, occurred_at=now, observed_at=now, data=facts(data))
            self.append_event(draft)
        self._db.execute("DELETE FROM meta WHERE key = ?", (DROPPED_KEY,))
        return True

    def _placed(self, draft: EventDraft, previous: int | None) -> Event:
        identity = self._identity
        seq = int(self.meta("seq") or 0) + 1
        self.set_meta("seq", str(seq))
        return Event(
            event_id=str(ULID()),
            node=identity.node,
            node_id=identity.node_id,
            boot_id=identity.boot_id,
            epoch=identity.epoch,
            seq=seq,
            prev_seq=previous,
            container=draft.container,
            incarnation=draft.incarnation,
            run=draft.run,
            revision=draft.revision,
            process=draft.process,
            type=draft.type,
            occurred_at=to_timestamp(draft.occurred_at),
            observed_at=to_timestamp(draft.observed_at),
            labels=draft.labels,
            cause=draft.cause,
            data=draft.data,
        )

    def _standing(self, lane: str) -> tuple[int | None, int | None]:
        """The lane's last sequence in the stream, and its last seq in this epoch."""
        sql = "SELECT last_acked, last_epoch, last_seq FROM lanes WHERE lane = ?"
        found = self._db.execute(sql, (lane,)).fetchone()
        if found is None:
            return None, None
        last_acked, epoch, seq = found
        return last_acked, seq if epoch == self._identity.epoch else None

    def outbox(self, after_place: int, limit: int) -> list[OutboxRow]:
        sql = (
            "SELECT place, lane, event, trace, last_acked FROM outbox LEFT JOIN lanes USING (lane)"
            " WHERE place > ? ORDER BY place LIMIT ?"
        )
        return [
            OutboxRow(place=place, lane=lane, event=event, trace=trace, last_acked=last_acked)
            for place, lane, event, trace, last_acked in self._db.execute(sql, (after_place, limit))
        ]

    def save_lane(self, row: LaneRow) -> None:
        self._db.execute(
            "INSERT INTO lanes (lane, last_acked) VALUES (?, ?)"
            " ON CONFLICT (lane) DO UPDATE SET last_acked = excluded.last_acked",
            (row.lane, row.last_acked),
        )

    def last_seq(self, lane: str) -> int:
        return self._standing(lane)[1] or 0

    def forget_event(self, place: int) -> None:
        gone = self._db.execute("DELETE FROM outbox WHERE place = ?", (place,))
        self.room.waiting -= gone.rowcount

    def published_through(self) -> int:
        sql = "SELECT min(seq) FROM outbox WHERE epoch = ?"
        (waiting,) = self._db.execute(sql, (self._identity.epoch,)).fetchone()
        return int(self.meta("seq") or 0) if waiting is None else int(waiting) - 1

    def meta(self, key: str) -> str | None:
        found = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return found[0] if found else None

    def set_meta(self, key: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

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
            "INSERT OR REPLACE INTO moves VALUES (?, ?, ?, ?)", (id_, side, over_at, _encode(row))
        )

    def prune(self, deleted_before: int, finished_before: int) -> int:
        old = "SELECT incarnation FROM containers WHERE deleted_at < ?"
        self._db.execute(f"DELETE FROM processes WHERE incarnation IN ({old})", (deleted_before,))
        self._db.execute("DELETE FROM processes WHERE exec_ended_at < ?", (deleted_before,))
        gone = self._db.execute("DELETE FROM containers WHERE deleted_at < ?", (deleted_before,))
        done = self._db.execute("DELETE FROM commands WHERE finished_at < ?", (finished_before,))
        moved = self._db.execute("DELETE FROM moves WHERE over_at < ?", (finished_before,))
        return gone.rowcount + done.rowcount + moved.rowcount
