"""Moves between cgroups that wait for nothing: asked for, and the mount is else as it was."""

from __future__ import annotations

from pathlib import Path

from tests.support.requirements import requires

from wharfside_agent.core.cgroup_paths import CgroupMounts
from wharfside_agent.runtime.favored_moves import are_favored, favor
from wharfside_agent.watchers.mounts import read_cgroup_mounts

pytestmark = requires("root", "cgroup-v2")


def options(mounts: CgroupMounts) -> set[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    (of_the_tree,) = (line for line in lines if line.split()[4] == str(mounts.unified))
    return set(of_the_tree.split()[-1].split(","))


async def test_the_option_is_added_to_the_others() -> None:
    mounts = read_cgroup_mounts()
    before = options(mounts)
    assert not are_favored()
    for _ in ("first", "again"):
        await favor(mounts)
        assert are_favored()
        assert options(mounts) == before | {"favordynmods"}
