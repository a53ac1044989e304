"""What a stream should be against what the server tells of it."""

from __future__ import annotations

from typing import Any

import pytest

from wharfside_client.drift import desired_stream, differences

WANTED: dict[str, Any] = {
    "name": "S",
    "subjects": ["a.>", "b.>"],
    "max_age": 60,
    "allow_msg_ttl": False,
    "republish": {"src": "a.>", "dest": "live.a.>"},
}
# as nats-server 2.15 answers: defaults filled in, metadata of its own
FOUND: dict[str, Any] = {
    "name": "S",
    "subjects": ["b.>", "a.>"],
    "max_age": 60,
    "max_msgs": -1,
    "max_bytes": -1,
    "max_msg_size": -1,
    "max_msgs_per_subject": -1,
    "max_consumers": -1,
    "discard": "old",
    "republish": {"src": "a.>", "dest": "live.a.>"},
    "compression": "s2",
    "metadata": {"_nats.level": "5"},
}


def test_what_the_server_adds_or_leaves_out_is_no_difference() -> None:
    assert differences(desired_stream(WANTED), FOUND) == {}


@pytest.mark.parametrize(
    ("setting", "found", "should"),
    [
        ("max_age", 30, 60),
        ("subjects", ["a.>"], ["a.>", "b.>"]),
        ("republish", None, WANTED["republish"]),
        ("max_msgs", 10, -1),
        ("allow_rollup_hdrs", True, False),
        ("mirror", {"name": "other"}, None),
    ],
)
def test_a_difference_tells_what_it_should_be(setting: str, found: Any, should: Any) -> None:
    assert differences(desired_stream(WANTED), {**FOUND, setting: found}) == {setting: should}
