"""What others bring about fills no log; what is the node's own is always told."""

from __future__ import annotations

import pytest
import structlog

from wharfside_agent.log_floods import EVERY_S, MOST, Floods


@pytest.fixture
def now() -> list[float]:
    return [0.0]


@pytest.fixture
def floods(now: list[float]) -> Floods:
    return Floods(lambda: now[0])


def told(floods: Floods, event: str, times: int) -> list[dict[str, object]]:
    lines = []
    for _ in range(times):
        try:
            lines.append(dict(floods(None, "warning", {"event": event})))
        except structlog.DropEvent:
            continue
    return lines


def test_so_many_are_told_and_the_last_says_so(floods: Floods) -> None:
    lines = told(floods, "bus-error", MOST + 500)
    assert len(lines) == MOST
    assert [line for line in lines if "next" in line] == lines[-1:]


def test_the_first_of_the_next_part_tells_how_many_were_not(
    floods: Floods, now: list[float]
) -> None:
    told(floods, "bus-error", MOST + 500)
    now[0] = EVERY_S
    first, second = told(floods, "bus-error", 2)
    assert (first["unsaid"], "unsaid" in second) == (500, False)


def test_each_event_has_its_own_and_the_nodes_own_are_never_left_out(floods: Floods) -> None:
    told(floods, "bus-error", MOST + 1)
    assert len(told(floods, "foreign-subject", 1)) == 1
    assert len(told(floods, "denied", 500)) == 500
