"""Whether a container of one node can go on on another: what is in the way, and what is not."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from wharfside_agent.core.compatibility import unfit
from wharfside_agent.core.images import FORMAT
from wharfside_protocol.codec import convert
from wharfside_protocol.migration import NodeFacts
from wharfside_protocol.specs import ContainerSpec, ProcessSpec, Source
from wharfside_protocol.views import CriuInfo

SPEC = ContainerSpec(source=Source(rootfs="/rootfs"), process=ProcessSpec(args=["a"]))
A = NodeFacts(
    node="node-a",
    node_id="a",
    architecture="x86_64",
    kernel="6.18.0",
    cpu_features=["avx", "sse"],
    criu=CriuInfo(usable=True, version="4.1.1"),
    runtimes={"runc": "1.1.5"},
    lower="f0",
    image_format=FORMAT,
)
B = replace(A, node="node-b", node_id="b")


def test_two_alike_are_fit_and_so_is_one_that_has_more() -> None:
    assert unfit(A, B, SPEC, "runc") == []
    more = {"cpu_features": ["avx", "avx2", "sse"], "criu": CriuInfo(usable=True, version="4.2")}
    assert unfit(A, replace(B, **more), SPEC, "runc") == []
    assert unfit(A, replace(B, lower=None), SPEC, "runc") == [], "too large to look at"


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"criu": None}, "node-b has no usable CRIU: it has none"),
        ({"criu": CriuInfo(usable=False, says="no vDSO")}, "node-b has no usable CRIU: no vDSO"),
        ({"criu": CriuInfo(usable=True, version="4.0")}, "CRIU 4.0, which is older than"),
        ({"runtimes": {"crun": "1.8"}}, "node-b has no runc"),
        ({"architecture": "aarch64"}, "node-b is aarch64, node-a is x86_64"),
        ({"cpu_features": ["sse"]}, "node-b's CPU lacks what node-a's has: avx"),
        ({"lower": "f1"}, "/rootfs on node-b is another one than on node-a"),
        ({"image_format": FORMAT + 1}, f"of format {FORMAT}, node-b reads format {FORMAT + 1}"),
        ({"image_format": FORMAT - 1}, f"of format {FORMAT}, node-b reads format {FORMAT - 1}"),
    ],
)
def test_what_is_in_the_way_is_told(other: dict[str, Any], told: str) -> None:
    (problem,) = unfit(A, replace(B, **other), SPEC, "runc")
    assert told in problem


def test_all_that_is_in_the_way_is_told_at_once() -> None:
    other = replace(B, runtimes={}, image_format=FORMAT + 1, lower="f1")
    assert len(unfit(A, other, SPEC, "runc")) == 3


def test_an_agent_that_tells_no_format_has_the_second() -> None:
    told = {"node": "old", "node_id": "o", "architecture": "x86_64", "kernel": "6.1"}
    assert convert(told, NodeFacts).image_format == 2
