"""From the request to the known exit, one container at a time."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.bench import PEERS, Bench
from tests.bench.comparison import BESIDE, Comparison, compare, scaled
from tests.bench.rounds import Measure, interleave, medians

NAME = "run-to-exited"
GOALS = {"script": 1 / 1.35, "script-hardened": BESIDE, "crun-run": BESIDE} | dict.fromkeys(
    PEERS, 5.0
)
MILLISECONDS = 1000.0


def compare_all(bench: Bench) -> Iterator[Comparison]:
    with bench.node() as ours:
        measures: dict[str, Measure] = {
            name: bench.forgiving(one.once) for name, one in bench.against(ours).items()
        }
        if ours:
            measures["ours"] = ours.once
            ours.once()  # the others have had their first one, too
        figures = medians(interleave(measures, bench.pick(12, 40)))
    for against, goal in GOALS.items():
        yield compare(
            NAME,
            "ms",
            scaled(figures.get("ours"), MILLISECONDS),
            against,
            scaled(figures.get(against), MILLISECONDS),
            goal=goal,
        )
