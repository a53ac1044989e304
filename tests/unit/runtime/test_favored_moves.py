"""Where moves between cgroups cannot be favored it is said why, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from wharfside_agent.core.cgroup_mounts import favors_moves, parse_cgroup_mounts
from wharfside_agent.core.cgroup_paths import CgroupMounts
from wharfside_agent.runtime import favored_moves
from wharfside_agent.runtime.favored_moves import favor
from wharfside_protocol.errors import RuntimeFailed

PLAIN = "31 24 0:27 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
FAVORED = PLAIN.replace("nsdelegate", "nsdelegate,favordynmods")
HYBRID = """\
32 24 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
33 24 0:29 / /sys/fs/cgroup/mine rw - cgroup none rw,favordynmods,name=mine
34 24 0:30 / /tmp rw - tmpfs favordynmods rw
"""


@pytest.fixture(autouse=True)
def mountinfo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    told = tmp_path / "mountinfo"
    told.write_text(PLAIN)
    monkeypatch.setattr(favored_moves, "MOUNTINFO", told)
    return told


def test_one_mount_that_says_so_serves_for_all() -> None:
    assert [favors_moves(each) for each in (PLAIN, FAVORED, HYBRID)] == [False, True, True]
    assert not favors_moves(HYBRID.replace("rw,favordynmods,name", "rw,name")), "a tmpfs so named"


def test_the_option_is_no_controller() -> None:
    assert "favordynmods" not in parse_cgroup_mounts(HYBRID).controllers


async def test_what_is_favored_is_left_alone(mountinfo: Path) -> None:
    mountinfo.write_text(FAVORED)
    await favor(CgroupMounts("v2", Path("/nowhere")))


@pytest.mark.parametrize("unified, says", [(None, "version 2"), (Path("/nowhere"), "/nowhere")])
async def test_one_that_cannot_be_says_what_it_needs(unified: Path | None, says: str) -> None:
    with pytest.raises(RuntimeFailed, match=says):
        await favor(CgroupMounts("v1", unified))
