"""An agent killed and started again, until every container is its own once more."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from tests.bench.bench import Bench
from tests.bench.comparison import Comparison, compare
from tests.bench.places import IDLE

NAME = "reattach"
BUDGET_SECONDS = 2.0


def compare_all(bench: Bench) -> Iterator[Comparison]:
    count = bench.pick(50, 500)
    seconds: float | None = None
    with bench.node() as ours:
        if ours:
            names = ours.hold(count, bench.places.bundle("idle", IDLE))
            seconds = median(ours.restart_agent(names) for _ in range(3))
    yield compare(f"{NAME} {count}", "s", seconds, "budget", BUDGET_SECONDS, goal=1.0)
