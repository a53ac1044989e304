"""Detach keys: docker's words for them, and their finding in what is typed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wharfside_client.cli.keys import DEFAULT, DetachKeys, codes_of

P, Q = b"\x10", b"\x11"


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        (DEFAULT, P + Q),
        ("a", b"a"),
        ("a,B,~", b"aB~"),
        ("ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_", b"\x00\x1b\x1c\x1d\x1e\x1f"),
        ("DEL", b"\x7f"),
        ("", b""),
    ],
)
def test_reads_dockers_words(text: str, codes: bytes) -> None:
    assert codes_of(text) == codes


@pytest.mark.parametrize("text", ["ctrl-P", "ctrl-", "^p", "a,,b", ",", "ü", "ctrl-p, ctrl-q"])
def test_refuses_what_is_no_key(text: str) -> None:
    with pytest.raises(ValueError, match="write one character, ctrl-a to ctrl-z, or DEL"):
        codes_of(text)


@pytest.mark.parametrize(
    ("typed", "passed", "found"),
    [
        ([b"ls\r"], b"ls\r", False),
        ([b"ls", P + Q], b"ls", True),
        ([P, Q], b"", True),
        ([P, b"x"], P + b"x", False),
        ([P, P, Q], P, True),  # the first is no beginning any more, the second one is
        ([P + Q + b"rm -rf"], b"", True),
        ([Q, P], Q, False),
    ],
)
def test_holds_back_what_may_be_their_beginning(
    typed: list[bytes], passed: bytes, found: bool
) -> None:
    keys = DetachKeys(P + Q)
    assert b"".join(map(keys.feed, typed)) == passed
    assert keys.found == found


def test_without_keys_everything_passes() -> None:
    assert DetachKeys(b"").feed(P + Q) == P + Q


def test_what_is_held_back_at_the_end_is_not_lost() -> None:
    keys = DetachKeys(P + Q)
    assert (keys.feed(b"a" + P), keys.rest(), keys.rest()) == (b"a", P, b"")


LETTERS = st.sampled_from([b"a", b"b"])
TEXTS = st.lists(LETTERS, max_size=24).map(b"".join)


@given(codes=TEXTS.filter(bool), typed=st.lists(TEXTS, max_size=8))
def test_however_it_is_split_the_text_before_the_first_match_passes(
    codes: bytes, typed: list[bytes]
) -> None:
    keys = DetachKeys(codes)
    passed = b"".join(map(keys.feed, typed)) + keys.rest()
    whole = b"".join(typed)
    assert keys.found == (codes in whole)
    assert passed == whole.partition(codes)[0]
