"""Tx over SQLite: rows are kept (tables.py); events get their place, or are dropped and told so."""

from __future__ import annotations

import dataclasses
import sqlite3

from ulid import ULID

from wharfside_agent.ports.rows import EventDraft, LaneRow, OutboxRow, ReportRow
from wharfside_agent.ports.store import Identity
from wharfside_agent.store.room import DROPPED_KEY, Room, encode_dropped, parse_dropped, with_drop
from wharfside_agent.store.tables import Tables, encode_row
from wharfside_protocol.event_facts import EventsDropped, facts
from wharfside_protocol.events import Event, EventType
from wharfside_protocol.subjects import NODE_TOKEN
from wharfside_protocol.times import to_timestamp


class SqliteTx(Tables):
    """See ports.store.Tx. Lives inside one savepoint at a time."""

    def __init__(self, db: sqlite3.Connection, identity: Identity, room: Room) -> None:
        super().__init__(db)
        self._identity = identity
        self.room = dataclasses.replace(room)
        self.appended: list[OutboxRow] = []
        self.reported = False

    def report(self, row: ReportRow) -> None:
        self._db.execute(
            "INSERT OR IGNORE INTO reports (command, kind, payload, trace) VALUES (?, ?, ?, ?)",
            (row.command, row.kind, row.payload, row.trace),
        )
        self.reported = True

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
        body = encode_row(event)
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
