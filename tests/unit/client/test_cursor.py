"""Where a reader of the event stream stands, told of sequences alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wharfside_client.cursor import Cursor, SequenceReset


def test_the_very_next_message_is_handed_on_at_once() -> None:
    cursor = Cursor(5, last_ns=50)
    assert cursor.ring(6, 60)
    assert (cursor.last, cursor.behind) == (6, False)


def test_a_message_after_a_hole_is_not_handed_on_but_asks_for_a_read() -> None:
    cursor = Cursor(5, last_ns=50)
    assert not cursor.ring(8, 80)
    assert (cursor.last, cursor.behind) == (5, True)
    assert [cursor.take(seq, seq * 10) for seq in (6, 7, 8)] == [True, True, True]
    assert not cursor.behind


def test_what_rings_twice_is_handed_on_once() -> None:
    cursor = Cursor(0)
    assert cursor.ring(1, 10)
    assert not cursor.ring(1, 10)


def test_what_was_read_before_it_rang_is_dropped() -> None:
    cursor = Cursor(0)
    assert cursor.take(1, 10) and cursor.take(2, 20)
    assert not cursor.ring(1, 10) and not cursor.ring(2, 20)
    assert not cursor.behind


def test_an_old_sequence_with_a_new_time_is_another_stream() -> None:
    cursor = Cursor(5, last_ns=50)
    with pytest.raises(SequenceReset):
        cursor.ring(1, 60)
    assert cursor.last == 5


def test_an_old_sequence_after_a_token_of_unknown_time_is_another_stream() -> None:
    with pytest.raises(SequenceReset):
        Cursor(5).ring(5, 1)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 12)), max_size=60))
def test_however_it_rings_each_message_is_told_once_and_in_order(
    steps: list[tuple[bool, int]],
) -> None:
    """Rings arrive missing, doubled and late; a read brings all that is stored by then."""
    cursor, told, stored = Cursor(0), [], 0
    for is_ring, number in steps:
        stored = max(stored, number)
        if is_ring:
            if cursor.ring(number, number):
                told.append(number)
        else:
            told += [seq for seq in range(1, stored + 1) if cursor.take(seq, seq)]
    told += [seq for seq in range(1, stored + 1) if cursor.take(seq, seq)]
    assert told == list(range(1, stored + 1))
    assert not cursor.behind
