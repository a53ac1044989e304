"""How soon a key is echoed by a container's terminal, and a line of a log is with its follower."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from tests.bench.bench import Bench
from tests.bench.comparison import Comparison, compare, scaled

MILLISECONDS = 1000.0
BUDGETS_MS = {"key-echo p50": 5.0, "log-follow p50": 20.0}


def compare_all(bench: Bench) -> Iterator[Comparison]:
    count = bench.pick(100, 400)
    figures: dict[str, float] = {}
    with bench.node() as ours:
        if ours is not None:
            figures["key-echo p50"] = median(ours.key_echoes(count))
            figures["log-follow p50"] = median(ours.follow_latencies(count))
    for name, budget in BUDGETS_MS.items():
        ours_ms = scaled(figures.get(name), MILLISECONDS)
        yield compare(name, "ms", ours_ms, "budget", budget, goal=1.0)
