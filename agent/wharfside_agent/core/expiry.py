"""When what lets the node in ends, and how often that is told. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from wharfside_protocol.times import NANOSECONDS

HOUR_S = 3600
DAY_S = 24 * HOUR_S

THRESHOLDS_S = (0, HOUR_S, DAY_S, 7 * DAY_S, 30 * DAY_S)
"""So long before the end it is told, once each; 0: that it is over."""

SHARE = 3
"""A threshold counts within the last third of a life: what is made anew each day by a program
would be told of each day."""


@dataclass(frozen=True, slots=True)
class Expiry:
    """One credential of `path`. Times are nanoseconds since 1970; `what` is `jwt`, `certificate`
    or `ca`."""

    what: str
    path: str
    begins_at: int
    ends_at: int

    @property
    def key(self) -> str:
        """The same for what takes its place in the same file."""
        return f"{self.what} {self.path}"

    def left_s(self, now: int) -> float:
        """Seconds to its end; below 0 afterwards."""
        return (self.ends_at - now) / NANOSECONDS


def passed_threshold(expiry: Expiry, now: int) -> int | None:
    """The nearest threshold that `expiry` has come within, in seconds; None: its end is far."""
    life_s = (expiry.ends_at - expiry.begins_at) / NANOSECONDS
    left_s = expiry.left_s(now)
    return next((t for t in THRESHOLDS_S if left_s <= t and t * SHARE <= life_s), None)


def soonest(expiries: Iterable[Expiry]) -> Expiry | None:
    return min(expiries, key=lambda each: each.ends_at, default=None)
