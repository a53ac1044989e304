"""What may be asked of a container: processes, sources, networks, signals, limits."""

from __future__ import annotations

from typing import Any

import pytest

from wharfside_protocol.codec import convert
from wharfside_protocol.commands import ExecArgs, ListArgs, SignalArgs, StopArgs, WaitArgs
from wharfside_protocol.errors import Invalid
from wharfside_protocol.specs import (
    ContainerSpec,
    Limits,
    Mount,
    Network,
    ProcessSpec,
    Source,
    User,
)


def process(**fields: Any) -> ProcessSpec:
    return convert({"args": ["sh"]} | fields, ProcessSpec)


@pytest.mark.parametrize(
    "fields",
    [
        {"args": []},
        {"args": ["a\0"]},
        {"args": ["a", 1]},
        {"args": ["a", None]},
        {"args": "sh -c true"},
        {"args": ["a"] * 1025},
        {"env": ["A"]},
        {"env": ["=a"]},
        {"env": ["A=\0"]},
        {"env": {"A": "b"}},
        {"cwd": ""},
        {"cwd": "tmp"},
        {"cwd": "/a\0"},
        {"cwd": "/" + "a" * 4096},
        {"user": "root"},
        {"user": {"uid": -1}},
        {"user": {"gid": 2**32 - 1}},
        {"user": {"additional_gids": [2**32 - 1]}},
        {"user": {"additional_gids": [1] * 65}},
    ],
)
def test_processes_that_none_can_start(fields: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        process(**fields)


def test_processes_that_can_start() -> None:
    odd = process(args=["", "a\n", "é"], env=["A=", "a.b=c=d", "N=x\ny"], cwd="/a b/../c\n")
    assert odd.args == ["", "a\n", "é"]
    assert (odd.cwd, odd.user, odd.no_new_privileges) == ("/a b/../c\n", None, None)
    assert process(user={"uid": 2**32 - 2}).user == User(uid=2**32 - 2)


def test_what_is_left_out_can_be_told_from_what_is_asked_for() -> None:
    # else a bundle's own cwd would be overwritten by a default
    assert process().cwd is None
    assert process(cwd="/").cwd == "/"
    assert process(no_new_privileges=False).no_new_privileges is False


@pytest.mark.parametrize(
    "source", [{}, {"bundle": "/b", "rootfs": "/r"}, {"bundle": "b"}, {"rootfs": ""}]
)
def test_a_source_is_a_bundle_or_a_rootfs(source: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        convert({"source": source}, ContainerSpec)
    with pytest.raises(Invalid, match="either"):
        Source()


@pytest.mark.parametrize(
    "network",
    [{"mode": "path"}, {"mode": "host", "path": "/n"}, {"path": "/n"}, {"mode": "bridge"}],
)
def test_a_network_has_a_path_in_mode_path_alone(network: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        convert(network, Network)
    assert convert({"mode": "path", "path": "/n"}, Network).path == "/n"


@pytest.mark.parametrize("signal", ["TERM", "SIGTERM", "KILL", "RTMIN+3", "9", "15", "USR1"])
def test_signals(signal: str) -> None:
    assert convert({"container": "c", "signal": signal}, SignalArgs).signal == signal


@pytest.mark.parametrize("signal", ["", "term", "TERM\n", "9\n", "-9", "999", "٣", "1.0", "T T"])
def test_what_is_no_signal(signal: str) -> None:
    for kind in (SignalArgs, StopArgs):
        with pytest.raises(Invalid):
            convert({"container": "c", "signal": signal}, kind)


@pytest.mark.parametrize(
    "limits",
    [
        {"memory_bytes": 1_048_575},
        {"memory_bytes": 2**53},
        {"pids": 0},
        {"cpu_percent": 0},
        {"cpu_weight": 10_001},
        {"cpuset": ""},
        {"cpuset": "0-3\n"},
        {"cpuset": "all"},
        {"swap_bytes": -1},
    ],
)
def test_limits_that_no_cgroup_takes(limits: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        convert(limits, Limits)


def test_the_bounds_of_seconds_pages_and_labels() -> None:
    for kind, fields in (
        (WaitArgs, {"container": "c", "timeout_s": 60.1}),
        (WaitArgs, {"container": "c", "timeout_s": -0.1}),
        (StopArgs, {"container": "c", "grace_s": -1}),
        (ExecArgs, {"container": "c", "process": {"args": ["a"]}, "timeout_s": 1e8}),
        (ListArgs, {"limit": 0}),
        (ListArgs, {"limit": 1001}),
        (ListArgs, {"labels": {"": "x"}}),
        (ListArgs, {"labels": {"k" * 129: "x"}}),
        (ListArgs, {"labels": {"k": "v" * 257}}),
        (ListArgs, {"labels": {"k": 1}}),
        (ListArgs, {"labels": {f"k{number}": "" for number in range(65)}}),
        (Mount, {"source": "/a", "target": "b"}),
    ):
        with pytest.raises(Invalid):
            convert(fields, kind)
    assert convert({"container": "c", "timeout_s": 60}, WaitArgs).timeout_s == 60
