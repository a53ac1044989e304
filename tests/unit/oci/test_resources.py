"""Limits -> OCI resources: the units, what is left out, what is told again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wharfside_agent.core.resources import shares_of, to_resources
from wharfside_protocol.errors import Invalid
from wharfside_protocol.specs import Limits

MIB = 1 << 20


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_nothing_given_changes_nothing(version):
    assert to_resources(Limits(), version) == {}


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize(
    ("limits", "resources"),
    [
        (Limits(memory_bytes=64 * MIB), {"memory": {"limit": 64 * MIB}}),
        (
            Limits(memory_bytes=64 * MIB, swap_bytes=MIB),
            {"memory": {"limit": 64 * MIB, "swap": 65 * MIB}},
        ),
        (
            Limits(memory_bytes=64 * MIB, swap_bytes=0),
            {"memory": {"limit": 64 * MIB, "swap": 64 * MIB}},
        ),
        (Limits(pids=7), {"pids": {"limit": 7}}),
        (Limits(cpu_percent=150), {"cpu": {"quota": 150_000, "period": 100_000}}),
        (Limits(cpu_percent=1), {"cpu": {"quota": 1000, "period": 100_000}}),
        (Limits(cpuset="0-1,3"), {"cpu": {"cpus": "0-1,3"}}),
    ],
)
def test_each_limit_alone(version, limits, resources):
    assert to_resources(limits, version) == resources


def test_the_weight_is_shares_in_v1_and_itself_in_v2():
    assert to_resources(Limits(cpu_weight=100), "v1") == {"cpu": {"shares": 1024}}
    assert to_resources(Limits(cpu_weight=777), "v2") == {"unified": {"cpu.weight": "777"}}


def test_weights_meet_shares_at_both_ends_and_at_the_default():
    assert [shares_of(weight) for weight in (1, 100, 10_000)] == [2, 1024, 262_144]


@given(st.integers(1, 9_999))
def test_more_weight_is_more_shares(weight):
    assert 2 <= shares_of(weight) < shares_of(weight + 1) <= 262_144


def test_swap_without_memory_is_refused():
    with pytest.raises(Invalid, match="memory_bytes") as refused:
        to_resources(Limits(swap_bytes=MIB), "v1")
    assert refused.value.details["field"] == "limits.swap_bytes"


def test_an_update_of_memory_keeps_the_share_of_swap():
    before = Limits(memory_bytes=64 * MIB, swap_bytes=16 * MIB, pids=9)
    resources = to_resources(Limits(memory_bytes=32 * MIB), "v1", before)
    assert resources == {"memory": {"limit": 32 * MIB, "swap": 48 * MIB}}


def test_an_update_of_swap_takes_the_memory_in_force():
    before = Limits(memory_bytes=64 * MIB)
    resources = to_resources(Limits(swap_bytes=0), "v2", before)
    assert resources == {"memory": {"limit": 64 * MIB, "swap": 64 * MIB}}


def test_an_update_of_pids_leaves_memory_alone():
    before = Limits(memory_bytes=64 * MIB, swap_bytes=0)
    assert to_resources(Limits(pids=3), "v1", before) == {"pids": {"limit": 3}}
