"""Where cgroups are mounted, read from /proc/self/mountinfo (proc_pid_mountinfo(5)). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from wharfside_agent.core.cgroup_paths import CgroupMounts
from wharfside_protocol.errors import Unsupported

_ESCAPE = re.compile(r"\\([0-7]{3})")
_FAVORS_MOVES = "favordynmods"
_NOT_CONTROLLERS = frozenset({"rw", "ro", "xattr", "clone_children", "noprefix", _FAVORS_MOVES})


def parse_cgroup_mounts(mountinfo: str) -> CgroupMounts:
    """v2 where it alone is mounted; v1 where the memory controller is v1's (hybrid included).

    Raises:
        Unsupported: no cgroups are mounted.
    """
    unified: Path | None = None
    controllers: dict[str, Path] = {}
    for kind, folder, options in _mounts(mountinfo):
        if kind == "cgroup2":
            unified = unified or folder
        elif kind == "cgroup":
            for option in set(options.split(",")) - _NOT_CONTROLLERS:
                controllers.setdefault(option, folder)
    if "memory" in controllers:
        return CgroupMounts("v1", unified, dict(sorted(controllers.items())))
    if unified is None:
        raise Unsupported("no cgroups are mounted: mount cgroup2 on /sys/fs/cgroup")
    return CgroupMounts("v2", unified)


def favors_moves(mountinfo: str) -> bool:
    """Whether a move between cgroups waits for nothing: one mount that says so serves for all
    (cgroup-v2.rst, favordynmods)."""
    return any(
        _FAVORS_MOVES in options.split(",")
        for kind, _, options in _mounts(mountinfo)
        if kind in ("cgroup", "cgroup2")
    )


def _mounts(mountinfo: str) -> Iterator[tuple[str, Path, str]]:
    """Type, mount point and super options of each line."""
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        kind, _source, options = [*after.split(" "), "", ""][:3]
        yield kind, Path(_unescape(before.split(" ")[4])), options


def _unescape(path: str) -> str:
    return _ESCAPE.sub(lambda found: chr(int(found.group(1), 8)), path)
