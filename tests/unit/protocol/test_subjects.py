"""Subjects: built as docs/protocol.md has them; foreign ones are never obeyed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wharfside_protocol.errors import Invalid
from wharfside_protocol.records import NAME_PATTERN
from wharfside_protocol.subjects import (
    NODE_TOKEN,
    Subjects,
    check_command_id,
    check_name,
)

S = Subjects()
NAMES = st.from_regex(NAME_PATTERN)
BAD_NAMES = [
    "", ".", "..", "a.b", "a/b", "a\0", "a\n", "a b", "A", "-a", "_node", "*", ">", "a" * 64,
]  # fmt: skip


@pytest.mark.parametrize(
    ("built", "subject"),
    [
        (S.rpc("n1", "list-processes"), "wharfside.v1.rpc.n1.list-processes"),
        (S.rpc_of("n1"), "wharfside.v1.rpc.n1.*"),
        (S.command("n1", "create"), "wharfside.v1.cmd.n1.create"),
        (S.commands_of("n1"), "wharfside.v1.cmd.n1.>"),
        (S.event("n1", "c1", "exited"), "wharfside.v1.evt.n1.c1.exited"),
        (S.event("n1", None, "up"), "wharfside.v1.evt.n1._node.up"),
        (S.events_of("n1", "c1"), "wharfside.v1.evt.n1.c1.>"),
        (S.events_of("n1", None), "wharfside.v1.evt.n1._node.>"),
        (S.all_events(), "wharfside.v1.evt.*.*.*"),
        (S.all_events("n1", NODE_TOKEN), "wharfside.v1.evt.n1._node.*"),
        (S.live_events("n1"), "wharfside.v1.live.evt.n1.*.*"),
        (S.accepted("n1", "abcd1234"), "wharfside.v1.res.n1.abcd1234.accepted"),
        (S.result("n1", "abcd1234"), "wharfside.v1.res.n1.abcd1234.result"),
        (S.live_results("n1", "abcd1234"), "wharfside.v1.live.res.n1.abcd1234.*"),
        (S.progress("n1", "abcd1234"), "wharfside.v1.progress.n1.abcd1234"),
        (S.live_nodes(), "wharfside.v1.kv.nodes.*"),
        (S.live_containers("n1"), "wharfside.v1.kv.containers.n1.*"),
        (Subjects("acme.eu_1.x").rpc("n1", "ping"), "acme.eu_1.x.rpc.n1.ping"),
    ],
)
def test_as_the_design_has_them(built: str, subject: str) -> None:
    assert built == subject


BUILDERS: dict[str, Callable[[str], object]] = {
    "rpc": lambda name: S.rpc(name, "ping"),
    "rpc_of": S.rpc_of,
    "command": lambda name: S.command(name, "ping"),
    "commands_of": S.commands_of,
    "event, node": lambda name: S.event(name, None, "up"),
    "event, container": lambda name: S.event("n1", name, "exited"),
    "events_of, node": lambda name: S.events_of(name, None),
    "events_of, container": lambda name: S.events_of("n1", name),
    "accepted": lambda name: S.accepted(name, "abcd1234"),
    "result": lambda name: S.result(name, "abcd1234"),
    "progress": lambda name: S.progress(name, "abcd1234"),
    "check_name": lambda name: check_name(name, "container"),
}


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
def test_a_name_is_one_token(build: Callable[[str], object]) -> None:
    for bad in BAD_NAMES:
        with pytest.raises(Invalid):
            build(bad)


@pytest.mark.parametrize("op", ["", "a.b", "*", ">", "a b", "ping\n", "a" * 65])
def test_an_op_is_one_token(op: str) -> None:
    for build in (S.rpc, S.command):
        with pytest.raises(Invalid, match="op"):
            build("n1", op)


@pytest.mark.parametrize(
    "bad", ["", "short", "a" * 65, "abcd.1234", "abcd1234\n", "abcd 1234", ">"]
)
def test_a_command_id_is_one_token(bad: str) -> None:
    for build in (S.accepted, S.result, S.progress):
        with pytest.raises(Invalid, match="command id"):
            build("n1", bad)
    with pytest.raises(Invalid):
        check_command_id(bad)
    assert check_command_id("A-_z0123") == "A-_z0123"


@settings(max_examples=100, deadline=None, database=None)
@given(NAMES, st.sampled_from(["ping", "list-processes", "x"]))
def test_the_op_comes_back_from_the_subject(node: str, op: str) -> None:
    assert S.op_of(S.rpc(node, op), node) == op


@pytest.mark.parametrize(
    "subject",
    [
        "",
        "ping",
        "wharfside.v1.rpc.n1",
        "wharfside.v1.rpc.n1.",
        "wharfside.v1.rpc.n1.a.b",
        "wharfside.v1.rpc.n11.ping",
        "wharfside.v1.rpc.n2.ping",
        "wharfside.v1.cmd.n1.ping",
        "wharfside.v2.rpc.n1.ping",
        "x.wharfside.v1.rpc.n1.ping",
        "wharfside.v1.evt.n1.c1.exited",
        "$JS.ACK.WHARFSIDE_CMD.n1.1.1.1.1.0",
        "_INBOX.abc",
        "WHARFSIDE.V1.RPC.N1.ping",
    ],
)
def test_foreign_subjects_are_refused(subject: str) -> None:
    with pytest.raises(Invalid, match="not an rpc of node n1"):
        S.op_of(subject, "n1")


@settings(max_examples=200, deadline=None, database=None)
@given(st.text(max_size=60) | NAMES.map(lambda name: f"wharfside.v1.rpc.{name}.ping"))
def test_any_subject_is_an_op_of_this_node_or_refused(subject: str) -> None:
    try:
        op = S.op_of(subject, "n1")
    except Invalid:
        return
    assert subject == f"wharfside.v1.rpc.n1.{op}"


@pytest.mark.parametrize(
    "prefix", ["", ".", "a.", ".a", "a..b", "a b", "a.*", "a.>", "$JS", "a\n", "é", "a." * 8 + "a"]
)
def test_a_prefix_is_plain_tokens(prefix: str) -> None:
    with pytest.raises(Invalid, match="prefix"):
        Subjects(prefix)


def test_a_refusal_of_a_huge_name_is_short() -> None:
    with pytest.raises(Invalid) as caught:
        check_name("\0" * 900_000, "container")
    assert len(caught.value.message) <= 4096
