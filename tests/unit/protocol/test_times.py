"""Timestamps: exact to the nanosecond, ordered as texts are, and only real dates."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wharfside_protocol.errors import Invalid
from wharfside_protocol.records import TIMESTAMP_PATTERN
from wharfside_protocol.times import NANOSECONDS, from_timestamp, to_timestamp

FIRST = -62_135_596_800 * NANOSECONDS  # 0001-01-01
LAST = 253_402_300_800 * NANOSECONDS - 1  # the end of 9999
INSTANTS = st.integers(FIRST, LAST)


@settings(max_examples=300, deadline=None, database=None)
@given(INSTANTS, INSTANTS)
def test_round_trip_and_order(one: int, other: int) -> None:
    text = to_timestamp(one)
    assert re.search(TIMESTAMP_PATTERN, text)
    assert len(text) == len("2026-01-31T09:00:00.123456789Z")
    assert from_timestamp(text) == one
    assert (text < to_timestamp(other)) == (one < other)


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("1970-01-01T00:00:00.1Z", 100_000_000),
        ("1970-01-01T00:00:01.000Z", NANOSECONDS),
        ("1969-12-31T23:59:59.999999999Z", -1),
        ("2024-02-29T12:00:00Z", 1_709_208_000 * NANOSECONDS),
        ("2026-01-31T09:00:00.123456789Z", 1_769_850_000_123_456_789),
        ("0001-01-01T00:00:00Z", FIRST),
        ("9999-12-31T23:59:59.999999999Z", LAST),
    ],
)
def test_known_instants(text: str, nanoseconds: int) -> None:
    assert from_timestamp(text) == nanoseconds
    assert from_timestamp(to_timestamp(nanoseconds)) == nanoseconds


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-29T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-01-01T23:59:60Z",
        "2026-01-01T23:59:61Z",
    ],
)
def test_dates_that_no_calendar_has(text: str) -> None:
    with pytest.raises(Invalid, match="no such time"):
        from_timestamp(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026",
        "2026-01-31T09:00:00",
        "2026-01-31T09:00:00+00:00",
        "2026-01-31T09:00:00.Z",
        "2026-01-31T09:00:00.1234567891Z",
        "2026-01-31T09:00:00Z\n",
        " 2026-01-31T09:00:00Z",
        "2026-1-31T09:00:00Z",
        "-2026-01-31T09:00:00Z",
        "2026-01-31T09:00:00\0Z",
        "٢٠٢٦-01-31T09:00:00Z",
        "2026-01-31T09:00:00.٣Z",
        "x" * 1_000_000,
    ],
)
def test_what_is_no_time_at_all(text: str) -> None:
    with pytest.raises(Invalid, match="RFC 3339") as caught:
        from_timestamp(text)
    assert len(caught.value.message) <= 4096


@settings(max_examples=200, deadline=None, database=None)
@given(st.text(max_size=30) | st.from_regex(TIMESTAMP_PATTERN))
def test_any_text_is_a_time_or_invalid(text: str) -> None:
    try:
        nanoseconds = from_timestamp(text)
    except Invalid:
        return
    assert FIRST <= nanoseconds <= LAST
