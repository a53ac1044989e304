"""The bell of all containers: it rings when they stall, and is quiet where nothing can tell."""

from __future__ import annotations

import asyncio
import os
import selectors
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.eventually import eventually
from tests.support.leaks import LeakGate
from tests.support.requirements import need

from wharfside_agent.core.cgroup_paths import CgroupMounts
from wharfside_agent.watchers.mounts import read_cgroup_mounts
from wharfside_agent.watchers.stalls import CgroupStalls
from wharfside_protocol.event_facts import PressureOn

WANTED = {PressureOn.MEMORY: 0.15, PressureOn.CPU: 0.15}
BOUND_S = 30.0


def listening(mounts: CgroupMounts, parent: str) -> CgroupStalls:
    stalls = CgroupStalls(mounts, parent)
    stalls.listen(WANTED)
    return stalls


def descriptors() -> list[str]:
    return sorted(each.name for each in Path("/proc/self/fd").iterdir())


async def test_a_host_without_the_tree_of_version_2_is_quiet() -> None:
    stalls = listening(CgroupMounts("v1"), "/wharfside/n1/ctr")
    assert not await stalls.rung(0.01)
    assert not stalls.take()
    assert stalls.read("/wharfside/n1/ctr/a", PressureOn.MEMORY) is None


async def test_a_kernel_without_psi_is_quiet_and_leaves_nothing_open(tmp_path: Path) -> None:
    stalls = listening(CgroupMounts("v2", tmp_path), "/n1/ctr")
    before = descriptors()
    assert not await stalls.rung(0.01)
    assert stalls.read("/n1/ctr", PressureOn.MEMORY) is None
    assert descriptors() == before


async def test_one_that_takes_no_trigger_is_quiet_and_leaves_nothing_open(tmp_path: Path) -> None:
    """As with a kernel that refuses the second one: a plain file cannot ring."""
    (tmp_path / "ctr").mkdir()
    for resource in PressureOn:
        (tmp_path / "ctr" / f"{resource}.pressure").touch()
    stalls = listening(CgroupMounts("v2", tmp_path), "/ctr")
    before = descriptors()
    assert not await stalls.rung(0.01)
    assert descriptors() == before


@pytest.fixture
def parent(leak_gate: LeakGate) -> Iterator[Path]:
    """A cgroup of all containers, with none yet."""
    need("root")
    need("psi")
    unified = read_cgroup_mounts().unified
    assert unified is not None
    folder = unified / leak_gate.cgroup[1:] / "ctr"
    yield folder
    for each in (folder, folder.parent):
        if each.exists():
            each.rmdir()


async def test_stalls_below_ring_and_peace_does_not(parent: Path) -> None:
    """On CPU, since two that want one are what every machine can have."""
    stalls = listening(read_cgroup_mounts(), f"/{parent.parent.name}/ctr")
    assert not await stalls.rung(2.5)
    (parent / "a").mkdir()
    count = 2 * (os.cpu_count() or 1)
    spinning = [await asyncio.create_subprocess_exec("sh", "-c", SPIN) for _ in range(count)]
    try:
        for each in spinning:
            (parent / "a" / "cgroup.procs").write_text(str(each.pid))
        assert await stalls.rung(BOUND_S)
        found = stalls.read(f"/{parent.parent.name}/ctr/a", PressureOn.CPU)
        assert found is not None and found.some.total_us > 0
    finally:
        for each in spinning:
            each.kill()
            await each.wait()
        stalls.close()
        await eventually(lambda: _removed(parent / "a"), "its cgroup is free")


SPIN = "while :; do :; done"


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except OSError:
        return not folder.exists()
    return True


async def test_a_cgroup_that_goes_away_does_not_ring_for_ever_and_is_hung_again(
    parent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = _counted(monkeypatch)
    stalls = listening(read_cgroup_mounts(), f"/{parent.parent.name}/ctr")
    assert not await stalls.rung(0.01)
    before = descriptors()
    parent.rmdir()
    assert await stalls.rung(BOUND_S)
    assert not parent.exists()
    first = turns[0]
    assert not await stalls.rung(0.5)
    assert parent.exists()
    assert turns[0] - first < 50, "the loop rests"
    assert descriptors() == before
    stalls.close()


def _counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often the loop has looked for readers."""
    turns, select = [0], selectors.EpollSelector.select

    def counted(self: selectors.EpollSelector, timeout: float | None = None) -> object:
        turns[0] += 1
        return select(self, timeout)

    monkeypatch.setattr(selectors.EpollSelector, "select", counted)
    return turns


async def test_after_a_reload_it_listens_to_the_others_and_to_nothing_where_all_are_off(
    parent: Path,
) -> None:
    stalls = listening(read_cgroup_mounts(), f"/{parent.parent.name}/ctr")
    await stalls.rung(0.01)
    before = len(descriptors())
    stalls.listen({PressureOn.IO: 0.5})
    await stalls.rung(0.01)
    assert len(descriptors()) == before - 1
    stalls.listen({})
    began = time.monotonic()
    assert not await stalls.rung(0.05)
    assert time.monotonic() - began >= 0.05
    assert len(descriptors()) == before - 3
    stalls.close()
