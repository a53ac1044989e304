"""A move in place, given ahead of a launch: where to, how often, and that it harms nothing."""

from __future__ import annotations

import asyncio
import os
from itertools import pairwise
from pathlib import Path

import pytest
from tests.support.requirements import requires

from wharfside_agent.core.cgroup_paths import CgroupMounts
from wharfside_agent.runtime.head_start import OWN_CGROUPS, HeadStart
from wharfside_agent.watchers.mounts import read_cgroup_mounts


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """What /proc/self/cgroup says: in v1's `pids` and in v2's tree, and in one that is no tree."""
    told = tmp_path / "cgroup"
    told.write_text("9:name=systemd:/\n8:pids,misc:/a\n0::/a/b\n")
    return told


def lists(tree: Path) -> Path:
    tree.mkdir(parents=True)
    (tree / "cgroup.procs").touch()
    return tree / "cgroup.procs"


async def moved(mounts: CgroupMounts, own: Path) -> None:
    start = HeadStart(mounts, own)
    start.give()
    await start.over()


async def test_it_is_where_the_process_is(tmp_path: Path, own: Path) -> None:
    """In v1 whichever controller is there: the lock is one for all."""
    pids, unified = lists(tmp_path / "pids" / "a"), lists(tmp_path / "unified" / "a" / "b")
    await moved(CgroupMounts("v2", tmp_path / "unified"), own)
    assert (pids.read_text(), unified.read_text()) == ("", "0")
    await moved(CgroupMounts("v1", None, {"pids": tmp_path / "pids"}), own)
    assert pids.read_text() == "0"


async def test_where_the_own_cgroup_cannot_be_seen_nothing_is_done(
    tmp_path: Path, own: Path
) -> None:
    """As in a container that sees only a part of the tree."""
    await moved(CgroupMounts("v2", tmp_path / "unified"), own)
    assert list(tmp_path.iterdir()) == [own]


async def test_one_that_is_refused_is_no_error(tmp_path: Path, own: Path) -> None:
    lists(tmp_path / "a" / "b").unlink()
    (tmp_path / "a" / "b" / "cgroup.procs").mkdir()
    await moved(CgroupMounts("v2", tmp_path), own)


async def test_launches_at_once_have_one_between_them(tmp_path: Path, own: Path) -> None:
    """The FIFO's writer waits for a reader, as a move does for the kernel."""
    lists(tmp_path / "a" / "b").unlink()
    procs = tmp_path / "a" / "b" / "cgroup.procs"
    os.mkfifo(procs)
    start = HeadStart(CgroupMounts("v2", tmp_path), own, quick_seconds=0)
    for _ in range(3):
        start.give()
    told = await asyncio.to_thread(procs.read_text)
    await start.over()
    assert told == "0"
    start.give()
    assert await asyncio.to_thread(procs.read_text) == "0"
    await start.over()


async def given(start: HeadStart, procs: Path) -> bool:
    """Whether there was a move."""
    procs.write_text("")
    start.give()
    await start.over()
    return procs.read_text() == "0"


async def test_where_a_move_waits_for_nothing_there_are_few(
    tmp_path: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fewer after each that comes by itself, and is quick; by a clock of this test's own."""
    procs, now = lists(tmp_path / "a" / "b"), 1000.0
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
    start = HeadStart(CgroupMounts("v2", tmp_path), own, quick_seconds=3600)
    moves = list[float]()
    while now < 1000 + 600:
        if await given(start, procs):
            moves.append(now - 1000)
        now += 0.5
    rests = [after - before for before, after in pairwise(moves)]
    assert rests[:6] == [1, 2, 4, 8, 16, 32]
    assert set(rests[6:]) == {60}


async def test_moves_of_a_busy_node_say_nothing_and_a_slow_one_ends_the_rest(
    tmp_path: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    procs, now = lists(tmp_path / "a" / "b"), 1000.0
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
    start = HeadStart(CgroupMounts("v2", tmp_path), own, quick_seconds=3600)
    assert await given(start, procs), "alone, and quick"
    now += 1
    assert await given(start, procs), "the first rest is over; alone"
    for _ in range(19):
        now += 0.1
        assert not await given(start, procs), "it rests for two seconds"
    now += 0.15
    told = list[bool]()
    for _ in range(40):
        told.append(await given(start, procs))
        now += 0.06
    assert told == 20 * [True, False], "a node that is busy rests for a moment, and no longer"
    start._quick_seconds = 0
    now += 1
    assert await given(start, procs), "alone, and slow"
    now += 0.01
    assert await given(start, procs), "so there is no rest"


@requires("root")
async def test_this_machine_takes_it_and_the_process_stays() -> None:
    before = OWN_CGROUPS.read_text()
    mounts = read_cgroup_mounts()
    await moved(mounts, OWN_CGROUPS)
    assert OWN_CGROUPS.read_text() == before
