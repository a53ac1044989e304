"""What is used now, from two samples of what was used since the beginning: pure."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from wharfside_protocol.stats import Usage


@dataclass(frozen=True, slots=True)
class Figures:
    """`cpu_percent`: of one CPU, between the last two samples; None after the first.

    `at_s`: when it was taken, by the reader's monotonic clock.
    """

    usage: Usage
    life: Hashable
    at_s: float
    cpu_percent: float | None = None

    @property
    def stalls(self) -> tuple[float | None, ...]:
        """Of CPU, memory and I/O, in percent of the last 10 s."""
        return (self.usage.cpu_stalled, self.usage.memory_stalled, self.usage.io_stalled)

    @property
    def stalled(self) -> float | None:
        """The worst of them."""
        known = [each for each in self.stalls if each is not None]
        return max(known) if known else None


class Samples:
    """The last figures of each key, for `fresh_s` seconds: older ones tell nothing of now."""

    def __init__(self, fresh_s: float) -> None:
        self._fresh_s = fresh_s
        self._known: dict[Hashable, Figures] = {}

    def take(self, key: Hashable, life: Hashable, usage: Usage, now_s: float) -> None:
        """`life` is another where `cpu_us` began anew: a run, a boot."""
        before = self.of(key, now_s)
        percent = None
        if before is not None and before.life == life:
            percent = cpu_percent(before.usage, usage)
        self._known[key] = Figures(usage, life, now_s, percent)

    def of(self, key: Hashable, now_s: float) -> Figures | None:
        found = self._known.get(key)
        return found if found is not None and now_s - found.at_s <= self._fresh_s else None

    def keep(self, keys: Iterable[Hashable]) -> None:
        """Forgets all others."""
        kept = set(keys)
        for key in [key for key in self._known if key not in kept]:
            del self._known[key]


def cpu_percent(before: Usage, after: Usage) -> float | None:
    """Percent of one CPU between two samples; None where they cannot be compared."""
    passed_us = after.uptime_us - before.uptime_us
    if before.cpu_us is None or after.cpu_us is None or passed_us <= 0:
        return None
    used_us = after.cpu_us - before.cpu_us
    return 100 * used_us / passed_us if used_us >= 0 else None
