"""One comparison: what the table shows and the JSON holds. Pure."""

from __future__ import annotations

from enum import Enum

import msgspec

BESIDE = 0.0
"""The goal of a figure that is only printed beside: any ratio meets it."""


class Better(Enum):
    LOWER = "lower"
    HIGHER = "higher"


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """`ratio` is how many times better ours is than `against`: above 1 is better.

    `ours`, `theirs` and `ratio` are None where that side could not be measured; the goal
    is not met then.
    """

    name: str
    unit: str
    ours: float | None
    against: str
    theirs: float | None
    ratio: float | None
    goal: float
    met: bool


def compare(
    name: str,
    unit: str,
    ours: float | None,
    against: str,
    theirs: float | None,
    *,
    goal: float,
    better: Better = Better.LOWER,
) -> Comparison:
    """Ours beside theirs, both in `unit`."""
    ratio = _ratio(ours, theirs, better)
    return Comparison(
        name=name,
        unit=unit,
        ours=ours,
        against=against,
        theirs=theirs,
        ratio=ratio,
        goal=goal,
        met=ratio is not None and ratio >= goal,
    )


def _ratio(ours: float | None, theirs: float | None, better: Better) -> float | None:
    if ours is None or theirs is None:
        return None
    above, below = (theirs, ours) if better is Better.LOWER else (ours, theirs)
    return above / below if below > 0 else None


def scaled(value: float | None, factor: float) -> float | None:
    """`value` in another unit, where there is one."""
    return None if value is None else value * factor
