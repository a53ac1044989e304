"""Side by side: each contender once a round, so that drift hits all alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil
from random import Random
from statistics import median
from time import sleep

Measure = Callable[[], float | None]
"""One figure; None where it failed this once, which whoever measures has noted."""

SETTLE_SECONDS = 0.05
"""Between two measures: what the one has left to the kernel is not charged to the next."""


def interleave(measures: Mapping[str, Measure], rounds: int) -> dict[str, list[float]]:
    """`rounds` figures of each. Every round has an order of its own (the same in every
    run), so that nobody always follows the same one."""
    figures: dict[str, list[float]] = {name: [] for name in measures}
    for turn in range(rounds):
        for name in Random(turn).sample(list(measures), len(measures)):
            sleep(SETTLE_SECONDS)
            figure = measures[name]()
            if figure is not None:
                figures[name].append(figure)
    return figures


def medians(figures: Mapping[str, list[float]]) -> dict[str, float]:
    """Of all that have a figure."""
    return {name: median(values) for name, values in figures.items() if values}


def percentile(values: list[float], share: float) -> float:
    """The smallest value that at least `share` (0..1) of all do not exceed.

    Raises:
        ValueError: no values.
    """
    if not values:
        raise ValueError("no values")
    ranked = sorted(values)
    return ranked[max(0, ceil(share * len(ranked)) - 1)]
