"""Lines of the log that others can bring about at will: so many a minute, the rest is counted.

A ping without a reply, a frame on a foreign subject, a word that nobody asked for: each costs its
sender some bytes, and would cost every node a line.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from structlog.typing import EventDict, WrappedLogger

FROM_OTHERS = frozenset(
    {
        *("answer-not-sent", "bus-error", "foreign-presence", "foreign-subject"),
        *("dead-letter", "word-refused", "word-of-a-stranger", "word-for-another-store"),
    }
)
MOST = 20
EVERY_S = 60.0


@dataclass
class _Part:
    """Since `began`."""

    began: float
    told: int = 0
    unsaid: int = 0


class Floods:
    """A processor of structlog: MOST lines of each such event in EVERY_S."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._parts: dict[str, _Part] = {}

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        if event.get("event") not in FROM_OTHERS:
            return event
        part, before = self._part(event["event"])
        if part.told == MOST:
            part.unsaid += 1
            raise structlog.DropEvent
        part.told += 1
        if before:
            event["unsaid"] = before
        if part.told == MOST:
            event["next"] = f"more of these within {EVERY_S:g} s are only counted"
        return event

    def _part(self, name: str) -> tuple[_Part, int]:
        """The present one, and how many were not said in the one before, where it begins."""
        now = self._clock()
        part = self._parts.get(name)
        if part is not None and now - part.began < EVERY_S:
            return part, 0
        self._parts[name] = new = _Part(now)
        return new, 0 if part is None else part.unsaid
