"""Denials on their way to being told: merged, so that a flood buries nothing and fills nothing.

Each second those of one actor by one rule are one record, of at most MOST actors; the others share
one. Names are free for whoever proves nothing, so who is proven does not share places with them.
A flood that lasts is told in ever larger parts, up to LONGEST_NS.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from wharfside_protocol.errors import ErrorCode
from wharfside_protocol.event_facts import AuditRecord
from wharfside_protocol.times import NANOSECONDS

MOST = 16
FLOOD = 100
"""So many in one part make the next one twice as long."""
SHORTEST_NS = NANOSECONDS
LONGEST_NS = 64 * NANOSECONDS


class Denials:
    def __init__(self) -> None:
        self._first: dict[AuditRecord, AuditRecord] = {}
        self._counts: dict[AuditRecord, int] = {}
        self._part_ns = SHORTEST_NS
        self._due_at = 0

    def add(self, record: AuditRecord) -> bool:
        """Whether it is the first of its kind."""
        kind = _kind_of(record)
        if kind not in self._first and self._are_many(proven=kind.proven):
            kind = AuditRecord(at="", op="", outcome=record.outcome, proven=record.proven)
            record = replace(kind, at=record.at, op=record.op)
        self._first.setdefault(kind, record)
        self._counts[kind] = self._counts.get(kind, 0) + 1
        return self._counts[kind] == 1

    def _are_many(self, *, proven: bool) -> bool:
        return sum(each.proven is proven for each in self._first) >= MOST

    def due(self, now: int) -> bool:
        """`now` in ns of a clock that never steps back."""
        return bool(self._first) and now >= self._due_at

    def take(self, now: int) -> list[AuditRecord]:
        """All of them; how many they are decides when the next are due."""
        taken = [replace(self._first[kind], count=n) for kind, n in self._counts.items()]
        flooded = sum(self._counts.values()) >= FLOOD
        self._first, self._counts = {}, {}
        self._part_ns = min(self._part_ns * 2, LONGEST_NS) if flooded else SHORTEST_NS
        self._due_at = now + self._part_ns
        return taken


def merged(records: Iterable[AuditRecord]) -> list[AuditRecord]:
    """The records with those of one kind as one, where they tell of denials; each other is kept."""
    places: dict[AuditRecord, int] = {}
    told: list[AuditRecord] = []
    for record in records:
        kind = _kind_of(record)
        if record.outcome != ErrorCode.DENIED or kind not in places:
            places[kind] = len(told)
            told.append(record)
        else:
            first = told[places[kind]]
            told[places[kind]] = replace(first, count=first.count + record.count)
    return told


def _kind_of(record: AuditRecord) -> AuditRecord:
    """Of one actor, by one rule."""
    return replace(record, at="", op="", container=None, command=None, count=1)
