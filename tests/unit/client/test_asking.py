"""Nodes that were asked and did not answer: how they are told, and the exit status of it."""

from __future__ import annotations

import pytest

from wharfside_client.cli import asking
from wharfside_client.cli.asking import status, tell_missing, unanswered
from wharfside_client.cli.flags import Flags
from wharfside_client.cli.session import Session
from wharfside_client.errors import NodeUnreachable

AWAY = {name: NodeUnreachable(f"no agent of {name}", node=name) for name in ("n2", "n1")}


@pytest.mark.parametrize(
    ("named", "missing", "code"),
    [(None, {}, 0), (None, AWAY, 0), (["n1", "n3"], AWAY, 125), (["n3"], {}, 0)],
)
def test_only_who_names_a_node_wants_its_answer(
    named: list[str] | None, missing: asking.Missing, code: int
) -> None:
    assert status(named, missing) == code


def test_each_is_named_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    tell_missing(Session(Flags()), AWAY)
    told = "wharfside: {0} is not in this list: no agent of {0}\n"
    assert capsys.readouterr() == ("", told.format("n1") + told.format("n2"))
    assert [entry["node"] for entry in unanswered(AWAY)] == ["n1", "n2"]
    assert unanswered(AWAY)[0]["error"]["code"] == "node-unreachable"


def test_a_slow_node_is_waited_for_as_long_as_is_asked_for() -> None:
    assert asking.patience_s(Session(Flags())) == asking.DEFAULT_TIMEOUT_S
    assert asking.patience_s(Session(Flags(timeout=0.5))) == 0.5
