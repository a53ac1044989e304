"""The answers of direct get as pages (ADR-31)."""

from __future__ import annotations

import pytest

from wharfside_client.direct import Stored, to_page
from wharfside_client.errors import ApiError
from wharfside_client.messages import Message

TIME = "2026-01-31T09:00:00.5Z"


def stored_message(seq: int, data: bytes = b"x") -> Message:
    headers = {"Nats-Sequence": str(seq), "Nats-Subject": "a.b", "Nats-Time-Stamp": TIME}
    return Message("_INBOX.x.1", data, headers)


def status(code: str, words: str = "", **headers: str) -> Message:
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return Message("_INBOX.x.1", b"", {"Status": code, "Description": words, **named})


def test_a_page_ends_with_what_is_still_pending() -> None:
    page = to_page(
        [stored_message(3), stored_message(7), status("204", "EOB", Nats_Num_Pending="9")]
    )
    assert [message.seq for message in page.messages] == [3, 7]
    assert page.pending == 9


def test_a_stored_message_keeps_subject_time_and_data() -> None:
    page = to_page([stored_message(3, b"data"), status("204", "EOB")])
    (message,) = page.messages
    assert isinstance(message, Stored)
    assert (message.subject, message.time, message.data) == ("a.b", TIME, b"data")


def test_nothing_found_is_an_empty_page() -> None:
    page = to_page([status("404", "Message Not Found")])
    assert (page.messages, page.pending) == ([], 0)


@pytest.mark.parametrize("code", ["408", "413"])
def test_a_refusal_is_told_in_the_servers_words(code: str) -> None:
    with pytest.raises(ApiError, match="Too Many") as caught:
        to_page([status(code, "Too Many Results")])
    assert caught.value.status == int(code)


def test_a_message_that_no_stream_stored_is_refused() -> None:
    with pytest.raises(ApiError, match="Nats-Sequence"):
        to_page([Message("_INBOX.x.1", b"", {}), status("204", "EOB")])
