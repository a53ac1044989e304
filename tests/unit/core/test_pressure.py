"""Which stalls are told, as what, and how seldom."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wharfside_agent.core.pressure import CALM_US, WINDOW_US, Judge, Look, Rule, Tidings, trigger
from wharfside_protocol.event_facts import PressurePhase

AGAIN_US = 30_000_000
RULE = Rule(0.15, AGAIN_US)
START_NS = 1_800_000_000_000_000_000
BEGINS, LASTS, OVER = PressurePhase.BEGINS, PressurePhase.LASTS, PressurePhase.OVER


def look(at_us: int, stalled_us: int) -> Look:
    return Look(at_us, START_NS + at_us * 1000, stalled_us)


def told(shares: list[float], every_us: int = WINDOW_US) -> list[tuple[int, Tidings]]:
    """What is told, and when, of one that stalls for these shares of window after window."""
    judge, at_us, total_us = Judge(look(0, 0)), 0, 0
    found: list[tuple[int, Tidings]] = []
    for share in shares:
        at_us, total_us = at_us + every_us, total_us + int(share * every_us)
        if (tidings := judge.look(look(at_us, total_us), RULE)) is not None:
            found.append((at_us, tidings))
    return found


def test_the_first_window_of_stalls_is_told_and_then_one_in_so_long_until_it_is_over() -> None:
    busy, calm = [0.5] * 20, [0.0] * 20
    (begun, begins), (_, lasts), (_, over) = told([0.1, *busy, *calm])
    assert begun == 2 * WINDOW_US
    assert begins == Tidings(BEGINS, START_NS + WINDOW_US * 1000, 1_000_000, WINDOW_US)
    assert lasts == Tidings(LASTS, begins.since_ns, 15_000_000, AGAIN_US)
    assert over == Tidings(OVER, begins.since_ns, 4_000_000, AGAIN_US)


def test_one_that_stalls_now_and_then_is_not_over_in_between() -> None:
    pulse = [0.5, *[0.0] * 3]  # once in 8 s
    phases = [tidings.phase for _, tidings in told(pulse * 20)]
    assert phases[:4] == [BEGINS, LASTS, LASTS, LASTS]
    assert OVER not in phases


def test_a_short_one_is_over_by_the_next_event() -> None:
    phases = [tidings.phase for _, tidings in told([0.9, *[0.0] * 40])]
    assert phases == [BEGINS, OVER]


def test_it_begins_anew_no_sooner_than_an_event_may_come() -> None:
    over_at = WINDOW_US + AGAIN_US
    shares = [0.9, *[0.0] * 15, *[0.9] * 20]
    assert [tidings.phase for _, tidings in told(shares)] == [BEGINS, OVER, BEGINS]
    assert told(shares)[2][0] == over_at + AGAIN_US


@pytest.mark.parametrize("share", [0.0, 0.1, 0.149])
def test_below_the_threshold_nothing_is_told(share: float) -> None:
    assert told([share] * 100) == []


def test_looks_that_follow_at_once_are_taken_together() -> None:
    """Of a moment nothing can be said: 1 ms of 2 ms is no half of the time."""
    judge = Judge(look(0, 0))
    assert judge.look(look(2_000, 1_900), RULE) is None
    assert judge.look(look(WINDOW_US, 1_900), RULE) is None
    assert not judge.open


def test_a_look_after_hours_counts_all_of_them() -> None:
    """Stalls that were spread over them are none that are worth telling."""
    hour_us = 3_600_000_000
    assert Judge(look(0, 0)).look(look(hour_us, 60_000_000), RULE) is None


SHARES = st.lists(st.sampled_from([0.0, 0.05, 0.15, 0.5, 1.0]), max_size=200)
EVERY_US = st.sampled_from([WINDOW_US, 2_500_000, 4_000_000, 31_000_000])


@given(SHARES, EVERY_US)
def test_whatever_happens_events_are_far_apart_and_in_order(shares: list[float], us: int) -> None:
    found = told(shares, us)
    at = [at_us for at_us, _ in found]
    assert all(b - a >= AGAIN_US for a, b in itertools.pairwise(at))
    phases = [tidings.phase for _, tidings in found]
    assert phases[:1] in ([], [BEGINS])
    for before, after in itertools.pairwise(phases):
        assert (after is BEGINS) == (before is OVER)


@given(SHARES, EVERY_US)
def test_what_is_told_of_one_pressure_is_all_that_it_was_stalled(
    shares: list[float], us: int
) -> None:
    began_us = 0
    whole = list(itertools.accumulate(int(share * us) for share in shares))
    for at_us, tidings in told(shares, us):
        began_us = at_us - tidings.window_us if tidings.phase is BEGINS else began_us
        assert tidings.since_ns == START_NS + began_us * 1000
        since = (at_us - tidings.window_us) // us
        before = whole[since - 1] if since else 0
        assert tidings.stalled_us == whole[at_us // us - 1] - before


@given(SHARES)
def test_one_that_is_told_to_be_over_was_calm(shares: list[float]) -> None:
    for at_us, tidings in told(shares):
        if tidings.phase is OVER:
            last = at_us // WINDOW_US
            assert max(shares[last - CALM_US // WINDOW_US : last]) < RULE.share


@given(st.integers(0, 2**40), st.integers(0, 2**40))
def test_never_is_more_told_than_the_window(total_us: int, later_us: int) -> None:
    """The kernel's total is some milliseconds younger than our clock."""
    tidings = Judge(look(0, total_us)).look(look(WINDOW_US, later_us), RULE)
    assert tidings is None or 0 <= tidings.stalled_us <= tidings.window_us


@pytest.mark.parametrize(
    ("share", "cpus", "text"),
    [
        (0.15, 1, "some 45000 2000000"),
        (0.15, 2, "some 22500 2000000"),
        (0.15, 64, "some 704 2000000"),
        (1.0, 1, "some 2000000 2000000"),
        (0.00001, 64, "some 1 2000000"),
    ],
)
def test_the_bell_rings_for_the_least_that_one_container_counts(
    share: float, cpus: int, text: str
) -> None:
    assert trigger(share, cpus) == text
