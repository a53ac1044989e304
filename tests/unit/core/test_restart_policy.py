"""When a policy starts again, how long it waits, and what it takes for an end."""

from __future__ import annotations

import pytest

from wharfside_agent.core.restart_policy import (
    FIRST_DELAY_S,
    LONGEST_DELAY_S,
    STEADY_S,
    Again,
    Over,
    Rests,
    Tally,
    decide,
    delay_s,
)
from wharfside_protocol.errors import Invalid
from wharfside_protocol.event_facts import WhyNotRestarting as Why
from wharfside_protocol.specs import Restart

NO, ALWAYS = Restart(), Restart(policy="always")
UNLESS_STOPPED, ON_FAILURE = Restart(policy="unless-stopped"), Restart(policy="on-failure")
TWICE = Restart(policy="on-failure", max_retries=2)

SUCCEEDED, FAILED, UNKNOWN = Over(0, 1.0), Over(3, 1.0), Over(None, 1.0)
STOPPED = Over(0, 1.0, held=Why.STOPPED)
BOOTED = Over(None, 1.0, booted=True)
STOPPED_AND_BOOTED = Over(0, 1.0, held=Why.STOPPED, booted=True)
CUT_OFF_AND_BOOTED = Over(0, 1.0, held=Why.DISCONNECTED, booted=True)


@pytest.mark.parametrize(
    ("policy", "over", "why"),
    [
        (NO, SUCCEEDED, Why.POLICY),
        (NO, FAILED, Why.POLICY),
        (NO, BOOTED, Why.POLICY),
        (ALWAYS, SUCCEEDED, None),
        (ALWAYS, FAILED, None),
        (ALWAYS, UNKNOWN, None),
        (ALWAYS, BOOTED, None),
        (ALWAYS, STOPPED, Why.STOPPED),
        (ALWAYS, STOPPED_AND_BOOTED, None),
        (ALWAYS, CUT_OFF_AND_BOOTED, Why.DISCONNECTED),
        (UNLESS_STOPPED, SUCCEEDED, None),
        (UNLESS_STOPPED, FAILED, None),
        (UNLESS_STOPPED, BOOTED, None),
        (UNLESS_STOPPED, STOPPED, Why.STOPPED),
        (UNLESS_STOPPED, STOPPED_AND_BOOTED, Why.STOPPED),
        (ON_FAILURE, SUCCEEDED, Why.POLICY),
        (ON_FAILURE, FAILED, None),
        (ON_FAILURE, UNKNOWN, None),
        (ON_FAILURE, BOOTED, None),
        (ON_FAILURE, STOPPED, Why.STOPPED),
        (ON_FAILURE, STOPPED_AND_BOOTED, Why.STOPPED),
        (ON_FAILURE, Over(9, 1.0, held=Why.DISCONNECTED), Why.DISCONNECTED),
        (ON_FAILURE, Over(137, 1.0, held=Why.DELETED), Why.DELETED),
    ],
)
def test_who_comes_back(policy: Restart, over: Over, why: Why | None) -> None:
    decided = decide(policy, over, Tally(), 0.0)
    assert decided == (Again(FIRST_DELAY_S, Tally(1, 1)) if why is None else Rests(why))


def test_retries_are_counted_over_long_runs_too() -> None:
    """As docker counts them: a run that lasted begins the delays anew, not the count."""
    first = decide(TWICE, FAILED, Tally(), 0.0)
    assert isinstance(first, Again)
    second = decide(TWICE, Over(3, STEADY_S), first.tally, 0.0)
    assert second == Again(FIRST_DELAY_S, Tally(attempts=2, streak=1))
    assert decide(TWICE, FAILED, second.tally, 0.0) == Rests(Why.MAX_RETRIES)
    assert decide(TWICE, SUCCEEDED, second.tally, 0.0) == Rests(Why.POLICY)


def test_delays_double_to_a_minute_and_begin_anew_after_a_steady_run() -> None:
    tally, delays = Tally(), []
    for _ in range(40):
        again = decide(ALWAYS, FAILED, tally, 0.0)
        assert isinstance(again, Again)
        tally = again.tally
        delays.append(again.delay_s)
    assert delays[:4] == pytest.approx([0.1, 0.2, 0.4, 0.8])
    assert delays[9] == pytest.approx(51.2)
    assert set(delays[10:]) == {LONGEST_DELAY_S}
    assert tally == Tally(40, 40)
    assert decide(ALWAYS, Over(0, STEADY_S), tally, 0.0) == Again(FIRST_DELAY_S, Tally(41, 1))
    short = decide(ALWAYS, Over(0, STEADY_S - 0.01), tally, 0.0)
    assert isinstance(short, Again)
    assert short.delay_s == LONGEST_DELAY_S


@pytest.mark.parametrize("streak", [0, 3, 9, 10, 1_000_000])
def test_jitter_only_shortens_and_never_to_nothing(streak: int) -> None:
    whole, least = delay_s(streak, 0.0), delay_s(streak, 0.999999)
    assert whole * 0.79 < least < delay_s(streak, 0.5) < whole <= LONGEST_DELAY_S


@pytest.mark.parametrize("policy", ["no", "always", "unless-stopped"])
def test_max_retries_goes_with_on_failure_alone(policy: str) -> None:
    with pytest.raises(Invalid, match=f"not with {policy}"):
        Restart(policy=policy, max_retries=3)  # type: ignore[arg-type]
