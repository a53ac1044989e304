"""What services count of their own work: plain numbers, read by whoever exports them. Pure.

To count costs an addition in a list or a dict, some 0.1 us, and no lock: everything is
counted on the loop, or by the one thread that has the store at that time.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

COMMAND_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
"""A no-op takes 0.5 ms, a run 30 ms, a stop its grace, a `wait` up to 60 s."""

COMMIT_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0)
"""A commit takes 0.05 ms, one with an fsync 0.6 ms; a slow disk takes what it likes."""

LAG_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.0)
"""A turn of the loop is to be given up after 2 ms (turns.py)."""

RELIST_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0)
"""A look at the whole machine: some 10 ms, and 0.1 ms a container."""


class Histogram:
    """How many observations fell below each bound, and their sum.

    Attributes:
        bounds: rising; each belongs to its bucket, as Prometheus has it (`le`).
        counts: one more than bounds, the last for what is beyond them; not summed up.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    @property
    def count(self) -> int:
        return sum(self.counts)

    def copy(self) -> Histogram:
        """As it is now: what is observed later does not change it."""
        same = Histogram(self.bounds)
        same.counts, same.total = self.counts.copy(), self.total
        return same
