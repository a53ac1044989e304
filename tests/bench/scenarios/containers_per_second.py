"""Whole lives a second, deletes included, eight at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.bench.bench import PEERS, Bench
from tests.bench.comparison import BESIDE, Better, Comparison, compare
from tests.bench.contenders import Contender
from tests.bench.rounds import Measure, interleave, medians

NAME = "containers-per-second"
GOALS = {"script": 0.7, "crun-run": BESIDE} | dict.fromkeys(PEERS, 4.0)
PARALLEL = 8


def compare_all(bench: Bench) -> Iterator[Comparison]:
    # A peer takes ten times as long for each: fewer of them make rounds of like length.
    few, many = bench.pick(16, 32), bench.pick(64, 160)
    with bench.node() as ours:
        measures = {
            name: _measure(one, few if name in PEERS else many)
            for name, one in bench.command_lines().items()
        }
        if ours:
            measures["ours"] = _measure(ours, many)
        figures = medians(interleave(measures, bench.pick(3, 7)))
    for against, goal in GOALS.items():
        yield compare(
            NAME,
            "/s",
            figures.get("ours"),
            against,
            figures.get(against),
            goal=goal,
            better=Better.HIGHER,
        )


def _measure(contender: Contender, count: int) -> Measure:
    measure: Callable[[], float] = lambda: contender.many(count, PARALLEL)  # noqa: E731
    return measure
