"""Finds where cgroups are mounted: once, at start."""

from __future__ import annotations

from pathlib import Path

from wharfside_agent.core.cgroup_mounts import parse_cgroup_mounts
from wharfside_agent.core.cgroup_paths import CgroupMounts

MOUNTINFO = Path("/proc/self/mountinfo")


def read_cgroup_mounts(mountinfo: Path = MOUNTINFO) -> CgroupMounts:
    """cgroup v2 where it alone is mounted; v1 where controllers are (hybrid included).

    Raises:
        Unsupported: no cgroups are mounted.
    """
    return parse_cgroup_mounts(mountinfo.read_text())
