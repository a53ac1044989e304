"""The sums of capacity, in whole numbers and without surprises."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wharfside_agent.core.capacity import MIB, Capacity, Kept, NoCapacity, Overcommit, Total
from wharfside_agent.core.policy.limits import Amounts, amounts_of
from wharfside_protocol.views import Resources

MACHINE = Resources(memory_bytes=1024 * MIB, cpu_percent=400, pids=1000)
ENFORCED = Capacity(enforce=("memory", "cpu", "pids"), reserve=Kept())


def limits(memory_mib: int | None, cpu: int | None = None, pids: int | None = None) -> Amounts:
    memory = None if memory_mib is None else memory_mib * MIB
    return Amounts(memory_bytes=memory, cpu_percent=cpu, pids=pids)


def test_reserve_overcommit_and_a_total_of_ones_own() -> None:
    half = Capacity(
        total=Total(memory_mib=512),
        reserve=Kept(memory_mib=12, cpu_percent=50, pids=100),
        overcommit=Overcommit(cpu=2),
    )
    assert half.of_machine(MACHINE) == Resources(memory_bytes=500 * MIB, cpu_percent=700, pids=900)
    more = Capacity(reserve=Kept(memory_mib=4096))
    assert more.of_machine(MACHINE).memory_bytes == 0


def test_the_view_tells_also_what_is_not_enforced() -> None:
    view = Capacity(reserve=Kept()).view(MACHINE, [limits(1000, 100, 10), limits(100)])
    assert view.promised == Resources(memory_bytes=1100 * MIB, cpu_percent=100, pids=10)
    assert view.free == Resources(memory_bytes=0, cpu_percent=300, pids=990)
    assert (view.enforced, view.unlimited) == ([], 1)


@pytest.mark.parametrize(
    ("wanted", "short"),
    [
        (limits(1024), None),
        (limits(1025), "capacity.memory"),
        (limits(1, cpu=401), "capacity.cpu"),
        (limits(1, pids=1001), "capacity.pids"),
        (limits(None), None),
    ],
)
def test_the_last_of_it_may_be_had_and_no_more(wanted: Amounts, short: str | None) -> None:
    view = ENFORCED.view(MACHINE, [])
    if short is None:
        ENFORCED.admit(view, wanted)
        return
    with pytest.raises(NoCapacity, match="free") as caught:
        ENFORCED.admit(view, wanted)
    assert caught.value.details["rule"] == short
    assert caught.value.details["free"] == msgspec.structs.asdict(view.free)


def test_what_is_not_enforced_is_never_short() -> None:
    Capacity().admit(Capacity().view(MACHINE, [limits(9999)]), limits(9999))


def test_a_container_without_limits_counts_as_the_settings_say() -> None:
    counted = msgspec.structs.replace(ENFORCED, unlimited=Kept(memory_mib=600))
    with pytest.raises(NoCapacity):
        counted.admit(counted.view(MACHINE, [limits(None)]), limits(None))


def test_a_node_that_promised_too_much_still_takes_less() -> None:
    """Only what grows is asked for: else nothing could be made smaller there."""
    crowded = ENFORCED.view(MACHINE, [limits(2000, 100)])
    ENFORCED.admit(crowded, limits(500, 50), had=limits(600, 50))
    with pytest.raises(NoCapacity):
        ENFORCED.admit(crowded, limits(700, 50), had=limits(600, 50))


@given(st.lists(st.integers(1, 2048), max_size=30))
def test_whoever_is_admitted_one_after_the_other_fits(sizes: list[int]) -> None:
    taken: list[Amounts] = []
    for size in sizes:
        view = ENFORCED.view(MACHINE, taken)
        try:
            ENFORCED.admit(view, limits(size))
        except NoCapacity:
            assert size * MIB > view.free.memory_bytes
        else:
            taken.append(limits(size))
    promised = ENFORCED.view(MACHINE, taken).promised.memory_bytes
    assert promised <= MACHINE.memory_bytes


@pytest.mark.parametrize(
    ("resources", "told"),
    [
        ({}, Amounts()),
        ({"memory": {"limit": 5, "swap": 8}}, Amounts(memory_bytes=5, swap_bytes=3)),
        ({"memory": {"limit": -1}, "pids": {"limit": 0}}, Amounts()),
        ({"cpu": {"quota": 150_001, "period": 100_000}}, Amounts(cpu_percent=151)),
        ({"cpu": {"quota": 5000}}, Amounts(cpu_percent=5)),
        ({"cpu": {"shares": 2}}, Amounts(cpu_weight=1)),
        ({"unified": {"cpu.max": "max 100000", "pids.max": "7"}}, Amounts(pids=7)),
        ({"cpu": {"quota": 5000}, "unified": {"cpu.max": "max"}}, Amounts()),
        ({"memory": {"limit": 5}, "unified": {"memory.max": "1G"}}, Amounts()),
        ({"unified": {"cpu.max": "20000 10000"}}, Amounts(cpu_percent=200)),
    ],
)
def test_limits_of_a_config_in_the_units_of_the_wire(resources: object, told: Amounts) -> None:
    assert amounts_of(resources) == told  # type: ignore[arg-type]
