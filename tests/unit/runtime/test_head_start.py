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


class Launches:
    """By a clock of the test's own; each move is quick until one is to be `slow`."""

    def __init__(self, folder: Path, own: Path) -> None:
        self.now = 1000.0
        self._procs = lists(folder / "a" / "b")
        self._start = HeadStart(CgroupMounts("v2", folder), own, quick_seconds=3600)

    def slow(self) -> None:
        self._start._quick_seconds = 0

    async def moved(self, after: float) -> bool:
        """Whether there was a move for a launch, so many seconds later."""
        self.now += after
        self._procs.write_text("")
        self._start.give()
        await self._start.over()
        return self._procs.read_text() == "0"


@pytest.fixture
async def launches(tmp_path: Path, own: Path, monkeypatch: pytest.MonkeyPatch) -> Launches:
    launches = Launches(tmp_path, own)
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: launches.now)
    return launches


async def test_where_a_move_waits_for_nothing_there_are_few(launches: Launches) -> None:
    """Fewer after each that comes by itself, and is quick."""
    moves = [step / 2 for step in range(1200) if await launches.moved(0.5)]
    rests = [after - before for before, after in pairwise(moves)]
    assert rests[:6] == [1, 2, 4, 8, 16, 32]
    assert set(rests[6:]) == {60}


async def test_a_busy_node_rests_for_a_moment_and_a_slow_move_ends_all_rest(
    launches: Launches,
) -> None:
    assert await launches.moved(0), "alone, and quick"
    assert await launches.moved(1), "the first rest is over; alone"
    assert not any([await launches.moved(0.1) for _ in range(19)]), "it rests for two seconds"
    await launches.moved(0.15)
    told = [await launches.moved(0.06) for _ in range(40)]
    assert told == 20 * [False, True], "a node that is busy rests for a moment, and no longer"
    launches.slow()
    assert await launches.moved(1), "alone, and slow"
    assert await launches.moved(0.01), "so there is no rest"


@requires("root")
async def test_this_machine_takes_it_and_the_process_stays() -> None:
    before = OWN_CGROUPS.read_text()
    mounts = read_cgroup_mounts()
    await moved(mounts, OWN_CGROUPS)
    assert OWN_CGROUPS.read_text() == before
