"""How long a caller waits, and what is sent again."""

from __future__ import annotations

import time

import pytest
from tenacity import Future, RetryCallState, Retrying

from wharfside_client.calls import Options, Patience, make_command, new_command_id
from wharfside_client.errors import NodeUnreachable, Unanswered
from wharfside_client.node import open_result
from wharfside_protocol.command_base import ContainerArgs
from wharfside_protocol.envelope import Expect, Result
from wharfside_protocol.errors import ErrorBody, ErrorCode, Internal, Invalid, Stale
from wharfside_protocol.node_commands import Pong
from wharfside_protocol.subjects import check_command_id
from wharfside_protocol.times import NANOSECONDS, from_timestamp

ARGS = ContainerArgs(container="web")


def after(error: Exception) -> RetryCallState:
    state = RetryCallState(Retrying(), None, (), {})
    state.outcome = Future(1)
    state.outcome.set_exception(error)
    return state


def patience(waited_s: float) -> Patience:
    return Patience(timeout_s=30, unreachable_s=1, started=time.monotonic() - waited_s)


def test_a_node_that_is_not_there_is_waited_for_only_shortly() -> None:
    assert not patience(0).spent(after(NodeUnreachable("")))
    assert patience(1.5).spent(after(NodeUnreachable("")))
    assert not patience(1.5).spent(after(Unanswered("")))
    assert patience(31).spent(after(Unanswered("")))


def test_attempts_grow_and_end_a_moment_after_the_deadline() -> None:
    assert patience(0).attempt_s(0) == 10
    assert patience(5).attempt_s(1) == 20
    assert 1 <= patience(29).attempt_s(2) <= 2
    assert patience(40).attempt_s(3) == 1


def test_a_command_carries_who_what_and_until_when() -> None:
    options = Options(command_id="mine-0001", timeout_s=5, expect=Expect(revision=7))
    before = time.time_ns()
    command, _ = make_command("n1", "pause", ARGS, "me@here", options)
    behind = time.time_ns()
    assert (command.id, command.op, command.node) == ("mine-0001", "pause", "n1")
    assert (command.args, command.expect) == ({"container": "web"}, Expect(revision=7))
    assert command.actor == "me@here"
    assert command.deadline is not None
    assert before <= from_timestamp(command.deadline) - 5 * NANOSECONDS <= behind


def test_a_deadline_stays_within_what_nodes_allow_and_the_callers_own_is_kept() -> None:
    command, _ = make_command("n1", "pause", ARGS, None, Options(timeout_s=1e6))
    assert command.deadline is not None
    assert from_timestamp(command.deadline) - time.time_ns() < 24 * 3600 * 1e9
    mine = "2026-01-31T09:00:00Z"
    assert make_command("n1", "pause", ARGS, None, Options(deadline=mine))[0].deadline == mine


def test_ids_are_made_up_and_never_twice() -> None:
    ids = {check_command_id(new_command_id()) for _ in range(1000)}
    assert len(ids) == 1000
    assert not [each for each in ids if each.startswith("-")], "`result n1 -x` is an option"


def result(**fields: object) -> Result:
    return Result(id="mine-0001", op="ping", node="n1", **fields)  # type: ignore[arg-type]


def test_an_answer_is_opened_as_its_record() -> None:
    value = {"node": "n1", "at": "2026-01-31T09:00:00Z", "epoch": 3, "new": "ignored"}
    assert open_result(result(ok=True, value=value), Pong).epoch == 3


def test_an_error_is_raised_as_its_class_with_its_facts() -> None:
    body = ErrorBody(
        code=ErrorCode.STALE, message="changed", stage="waiting", details={"revision": 8}
    )
    with pytest.raises(Stale, match="changed") as caught:
        open_result(result(ok=False, error=body), Pong)
    assert (caught.value.stage, caught.value.details) == ("waiting", {"revision": 8})


def test_an_answer_that_is_none_is_an_error() -> None:
    with pytest.raises(Internal):
        open_result(result(ok=False), Pong)
    with pytest.raises(Invalid):
        open_result(result(ok=True, value={"node": "n1"}), Pong)
