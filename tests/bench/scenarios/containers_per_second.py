"""Whole lives a second, deletes included, eight at a time."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tests.bench.bench import PEERS, Bench
from tests.bench.comparison import BESIDE, Better, Comparison, compare
from tests.bench.rounds import Measure, interleave, medians

NAME = "containers-per-second"
GOALS = {"script": 0.7, "script-hardened": BESIDE, "crun-run": BESIDE} | dict.fromkeys(PEERS, 4.0)
PARALLEL = 8


def compare_all(bench: Bench) -> Iterator[Comparison]:
    # A peer takes ten times as long for each: fewer of them make rounds of like length.
    few, many = bench.pick(16, 32), bench.pick(64, 160)
    with bench.node() as ours:
        measures: dict[str, Measure] = {
            name: bench.forgiving(partial(one.many, few if name in PEERS else many, PARALLEL))
            for name, one in bench.against(ours).items()
        }
        if ours:
            measures["ours"] = partial(ours.many, many, PARALLEL)
        figures = medians(interleave(measures, bench.pick(3, 5)))
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
