"""The state table: what it allows, what it refuses, and that it can only go forward."""

from __future__ import annotations

import itertools

import pytest

from wharfside_agent.core.lifecycle import TABLE, Input, advance
from wharfside_protocol.errors import WrongState
from wharfside_protocol.events import EventType
from wharfside_protocol.states import ContainerState as S


@pytest.mark.parametrize(
    ("state", "input_", "next_", "event"),
    [
        (S.CREATING, Input.CREATED, S.CREATED, EventType.CREATED),
        (S.CREATING, Input.CREATE_FAILED, S.DELETED, EventType.CREATE_FAILED),
        (S.CREATED, Input.START, S.RUNNING, EventType.STARTED),
        (S.CREATED, Input.START_REFUSED, S.STOPPED, EventType.START_FAILED),
        (S.CREATED, Input.INIT_ENDED, S.STOPPED, EventType.EXITED),
        (S.CREATED, Input.DELETE, S.DELETED, EventType.DELETED),
        (S.RUNNING, Input.PAUSE, S.PAUSED, EventType.PAUSED),
        (S.PAUSED, Input.RESUME, S.RUNNING, EventType.RESUMED),
        (S.PAUSED, Input.INIT_ENDED, S.STOPPED, EventType.EXITED),
        (S.RUNNING, Input.REBOOT, S.STOPPED, EventType.EXITED),
        (S.STOPPED, Input.DELETE, S.DELETED, EventType.DELETED),
        (S.STOPPED, Input.START, S.CREATING, None),
        (S.CREATING, Input.CREATED_AGAIN, S.CREATED, None),
        (S.CREATING, Input.CREATE_REFUSED, S.STOPPED, EventType.START_FAILED),
    ],
)
def test_rows_of_the_contract(state: S, input_: Input, next_: S, event: EventType | None) -> None:
    row = advance(state, input_, "web")
    assert (row.next, row.event) == (next_, event)
    assert row.raises_revision


@pytest.mark.parametrize("input_", [Input.UPDATE, Input.STOP, Input.OOM, Input.MONITOR_LOST])
def test_what_does_not_move_the_state(input_: Input) -> None:
    row = advance(S.RUNNING, input_, "web")
    assert row.next is None
    assert row.raises_revision == (input_ in (Input.UPDATE, Input.STOP))


@pytest.mark.parametrize(
    ("input_", "event"),
    [
        (Input.RESTARTING, EventType.RESTARTING),
        (Input.NOT_RESTARTING, EventType.NOT_RESTARTING),
    ],
)
def test_a_policy_speaks_of_what_is_stopped_and_moves_nothing(
    input_: Input, event: EventType
) -> None:
    row = advance(S.STOPPED, input_, "web")
    assert (row.next, row.event, row.raises_revision) == (None, event, False)
    for state in set(S) - {S.STOPPED}:
        with pytest.raises(WrongState):
            advance(state, input_, "web")


def test_every_pair_without_a_row_is_refused() -> None:
    pairs = set(itertools.product(S, Input)) - set(TABLE)
    assert len(pairs) > 60
    for state, input_ in pairs:
        with pytest.raises(WrongState) as caught:
            advance(state, input_, "web")
        assert caught.value.details == {"state": str(state)}


@pytest.mark.parametrize(
    ("state", "input_", "advice"),
    [
        (S.RUNNING, Input.DELETE, "with force"),
        (S.PAUSED, Input.EXEC, "resume it first"),
    ],
)
def test_a_refusal_says_what_to_do(state: S, input_: Input, advice: str) -> None:
    with pytest.raises(WrongState, match=advice):
        advance(state, input_, "web")


def test_the_state_never_goes_back_within_a_run() -> None:
    order = [S.CREATING, S.CREATED, S.RUNNING, S.PAUSED, S.MIGRATING, S.STOPPED, S.DELETED]
    back = {
        (row.state, row.next)
        for row in TABLE.values()
        if row.next is not None and order.index(row.next) < order.index(row.state)
    }
    again = {(S.STOPPED, S.CREATING), (S.MIGRATING, S.CREATING)}
    assert back == {(S.PAUSED, S.RUNNING), *again}
    begins_a_run = {row.input for row in TABLE.values() if row.next is S.CREATING}
    assert begins_a_run == {Input.START, Input.RESTORE, Input.RETURN}


def test_nothing_follows_deleted() -> None:
    assert not [row for row in TABLE.values() if row.state is S.DELETED]
