"""When an end that comes near is told."""

from __future__ import annotations

import pytest

from wharfside_agent.core.expiry import DAY_S, HOUR_S, Expiry, passed_threshold, soonest
from wharfside_protocol.times import NANOSECONDS

END = 2_000_000_000


def of(life_s: float, what: str = "jwt", end_s: int = END) -> Expiry:
    return Expiry(what, "/a", int((end_s - life_s) * NANOSECONDS), end_s * NANOSECONDS)


def at(left_s: float) -> int:
    return int((END - left_s) * NANOSECONDS)


@pytest.mark.parametrize(
    ("left_s", "threshold"),
    [
        (31 * DAY_S, None),
        (30 * DAY_S, 30 * DAY_S),
        (8 * DAY_S, 30 * DAY_S),
        (7 * DAY_S, 7 * DAY_S),
        (DAY_S + 1, 7 * DAY_S),
        (DAY_S, DAY_S),
        (HOUR_S + 1, DAY_S),
        (HOUR_S, HOUR_S),
        (1, HOUR_S),
        (0, 0),
        (-DAY_S, 0),
    ],
)
def test_the_nearest_threshold_that_has_passed(left_s: float, threshold: int | None) -> None:
    assert passed_threshold(of(365 * DAY_S), at(left_s)) == threshold


@pytest.mark.parametrize(
    ("life_s", "left_s", "threshold"),
    [
        (30 * DAY_S, 29 * DAY_S, None),
        (30 * DAY_S, 7 * DAY_S, 7 * DAY_S),
        (DAY_S, DAY_S, None),
        (DAY_S, HOUR_S, HOUR_S),
        (HOUR_S, HOUR_S / 2, None),
        (HOUR_S, 0, 0),
    ],
)
def test_what_lives_short_is_not_told_of_all_its_life(
    life_s: float, left_s: float, threshold: int | None
) -> None:
    assert passed_threshold(of(life_s), at(left_s)) == threshold


def test_the_soonest() -> None:
    assert soonest([]) is None
    first = of(DAY_S, "ca", END - 5)
    assert soonest([of(DAY_S), first]) == first
