"""A node's clock against the server's: told where it is further off than deadlines can bear."""

from __future__ import annotations

import msgspec
import pytest
from tests.integration.client_kit import TIME, presence

from wharfside_client.cli.nodes import _state
from wharfside_client.fleet import _status
from wharfside_protocol.times import NANOSECONDS, from_timestamp

AT = from_timestamp(TIME) / NANOSECONDS


@pytest.mark.parametrize(
    ("behind_s", "skew_s", "said"),
    [
        (0.1, -0.1, "up"),
        (2.0, -2.0, "up"),
        (5.0, -5.0, "up (clock -5s)"),
        (-7.0, 7.0, "up (clock +7s)"),
    ],
)
def test_skew_over_two_seconds_is_flagged(behind_s: float, skew_s: float, said: str) -> None:
    status = _status(presence("n1"), AT + behind_s, AT + behind_s + 1)
    assert status.skew_s == skew_s
    assert status.seen_s == 1.0
    assert _state(status) == said


def test_what_a_node_is_not_ready_in_stands_beside_it() -> None:
    told = msgspec.structs.replace(presence("n1"), ready={"disk": "full", "bus": "offline"})
    status = _status(told, AT, AT)
    assert _state(status) == "up (disk: full, bus: offline)"
