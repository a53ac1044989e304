"""Fences, signals and the expected-sequence rule: pure decisions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wharfside_agent.core.fencing import check_fence
from wharfside_agent.core.sequencing import SendAgain, Stored, after_wrong_sequence
from wharfside_agent.core.signals import signal_number
from wharfside_protocol.envelope import Expect
from wharfside_protocol.errors import Invalid, Stale

INCARNATION = "01JD0000000000000000000000"
OTHER = "01JD0000000000000000000001"


@pytest.mark.parametrize(
    "expect",
    [None, Expect(), Expect(incarnation=INCARNATION, run=2, revision=5), Expect(revision=5)],
)
def test_a_fence_that_holds_lets_through(expect: Expect | None) -> None:
    check_fence(expect, "web", INCARNATION, 2, 5)


@pytest.mark.parametrize(
    "expect", [Expect(incarnation=OTHER), Expect(run=1), Expect(run=2, revision=4)]
)
def test_a_fence_that_does_not_hold_is_stale_and_tells_both_sides(expect: Expect) -> None:
    with pytest.raises(Stale) as caught:
        check_fence(expect, "web", INCARNATION, 2, 5)
    assert caught.value.details["revision"] == 5
    assert "expected" in caught.value.details


@pytest.mark.parametrize(
    ("text", "number"), [("TERM", 15), ("SIGTERM", 15), ("9", 9), ("RTMIN+3", 37), ("SIGHUP", 1)]
)
def test_signal_names(text: str, number: int) -> None:
    assert signal_number(text) == number


@pytest.mark.parametrize("text", ["NOPE", "SIGNOPE", "0", "65", "99", "TERM+x"])
def test_what_is_no_signal(text: str) -> None:
    with pytest.raises(Invalid):
        signal_number(text)


MINUTE = 60 * 1_000_000_000


@given(
    expected=st.integers(0, 2**53),
    actual=st.integers(0, 2**53),
    age_ns=st.integers(5 * MINUTE, 10_000 * MINUTE),
)
def test_an_old_head_is_stored_exactly_where_the_stream_is_ahead(
    expected: int, actual: int, age_ns: int
) -> None:
    decision = after_wrong_sequence(expected, actual, age_ns=age_ns)
    if actual > expected:
        assert decision == Stored(actual)
    else:
        assert decision == SendAgain(actual)


@given(
    expected=st.integers(0, 2**53),
    actual=st.integers(0, 2**53),
    age_ns=st.integers(-MINUTE, 3 * MINUTE),
)
def test_a_young_head_is_sent_again_for_its_id_to_decide(
    expected: int, actual: int, age_ns: int
) -> None:
    assert after_wrong_sequence(expected, actual, age_ns=age_ns) == SendAgain(actual)
