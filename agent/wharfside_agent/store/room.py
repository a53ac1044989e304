"""How full the outbox is, and what was dropped since it became so.

When full, new events are dropped and the waiting ones kept: those may be on their way to
the stream already. A dropped one still takes its seq, so the gap has a name: one
`events-dropped` tells it once there is room. The last tenth is kept for terminal events
(TERMINAL_TYPES), which are never dropped.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from wharfside_agent.ports.rows import Row
from wharfside_protocol.events import TERMINAL_TYPES, EventType

DEFAULT_MAX_EVENTS = 100_000

DROPPED_KEY = "dropped"
"""Meta key: the period of drops that is not told yet, as JSON."""


class Dropped(Row, frozen=True, kw_only=True):
    """One period: from its first dropped seq to its last every event of `types` was dropped."""

    epoch: int
    first: int
    last: int
    types: list[str]


_decode = msgspec.json.Decoder(list[Dropped]).decode


@dataclass(slots=True)
class Room:
    """`waiting` events are in the outbox; `dropping` since it was full."""

    waiting: int
    max_events: int
    dropping: bool

    @property
    def full(self) -> bool:
        """Also for terminal ones: then no new work is taken, so that no more of them come."""
        return self.waiting >= self.max_events

    @property
    def wants_relief(self) -> bool:
        """No more are dropped below this: so that it does not begin and end with each ack."""
        return self.waiting < self.max_events * 8 // 10

    def takes(self, type_: EventType) -> bool:
        if type_ in TERMINAL_TYPES:
            return True
        return not self.dropping and self.waiting < self.max_events * 9 // 10


def parse_dropped(text: str | None) -> list[Dropped]:
    return _decode(text) if text else []


def with_drop(told: list[Dropped], epoch: int, seq: int, type_: EventType) -> list[Dropped]:
    """`told` with one more; a new epoch begins a new period."""
    if not told or told[-1].epoch != epoch:
        return [*told, Dropped(epoch=epoch, first=seq, last=seq, types=[str(type_)])]
    types = sorted({*told[-1].types, str(type_)})
    return [*told[:-1], msgspec.structs.replace(told[-1], last=seq, types=types)]


def encode_dropped(told: list[Dropped]) -> str:
    return msgspec.json.encode(told).decode()
