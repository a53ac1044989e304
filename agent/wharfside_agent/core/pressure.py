"""When the stalls of a container are worth an event, and how often. Pure.

What is judged are totals that the kernel counts (psi.rst): each look tells how long some task was
stalled until then, and the difference to the look before is what happened in between.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from wharfside_protocol.event_facts import PressurePhase

WINDOW_US = 2_000_000
"""Looks come so far apart while somebody stalls. It is the kernel's window, too: whoever lacks
CAP_SYS_RESOURCE may only have multiples of 2 s (Linux 6.5 and later)."""

CALM_US = 10_000_000
"""Without a stall worth telling for so long it is over: as far as PSI's shortest average looks."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Pressure is to be stalled for `share` of the time; it is told once in `again_us` at most."""

    share: float
    again_us: int


@dataclass(frozen=True, slots=True)
class Tidings:
    """What is to be told: some task was stalled for `stalled_us` of the last `window_us`.

    `since_ns` is when it began, by the node's clock.
    """

    phase: PressurePhase
    since_ns: int
    stalled_us: int
    window_us: int


@dataclass(frozen=True, slots=True)
class Look:
    """The total at a moment: `at_us` of a clock that never steps back, `now_ns` of the node's."""

    at_us: int
    now_ns: int
    stalled_us: int

    def since(self, before: Look) -> tuple[int, int]:
        """How long some task was stalled since then, and how long that is ago.

        The kernel adds up by its own clock, some milliseconds later: never more than all of it.
        """
        elapsed = self.at_us - before.at_us
        return max(0, min(self.stalled_us - before.stalled_us, elapsed)), elapsed


class Judge:
    """Of one resource of one container in one run; the first look is what others count from."""

    def __init__(self, first: Look) -> None:
        self._last = first
        self._told = first
        self._began_ns: int | None = None
        self._stalled_at_us = first.at_us
        self._free_at_us = first.at_us

    @property
    def open(self) -> bool:
        """It was told that it begins, and not yet that it is over."""
        return self._began_ns is not None

    def look(self, now: Look, rule: Rule) -> Tidings | None:
        """What this look gives to tell: nothing where the last one was but a moment ago."""
        stalled_us, elapsed_us = now.since(self._last)
        if elapsed_us < WINDOW_US // 2:
            return None
        before, self._last = self._last, now
        stalls = stalled_us >= rule.share * elapsed_us
        if stalls:
            self._stalled_at_us = now.at_us
        if now.at_us < self._free_at_us:
            return None
        if self._began_ns is not None:
            tidings = self._go_on(self._began_ns, now)
        elif stalls:
            tidings = self._begin(before, now)
        else:
            return None
        self._told = now
        self._free_at_us = now.at_us + rule.again_us
        return tidings

    def _begin(self, before: Look, now: Look) -> Tidings:
        self._began_ns = before.now_ns
        return Tidings(PressurePhase.BEGINS, before.now_ns, *now.since(before))

    def _go_on(self, began_ns: int, now: Look) -> Tidings:
        calm = now.at_us - self._stalled_at_us >= CALM_US
        if calm:
            self._began_ns = None
        phase = PressurePhase.OVER if calm else PressurePhase.LASTS
        return Tidings(phase, began_ns, *now.since(self._told))


def trigger(share: float, cpus: int) -> str:
    """What to write into the `*.pressure` of a cgroup, to be rung when one below it may stall.

    The kernel weighs each CPU by its busy time. One container's stalls of `share` of a window, on
    a CPU that is idle else, are the least of the whole where all other CPUs are busy with others:
    share^2 / cpus of it.
    """
    threshold_us = math.ceil(WINDOW_US * share * share / cpus)
    return f"some {min(max(threshold_us, 1), WINDOW_US)} {WINDOW_US}"
