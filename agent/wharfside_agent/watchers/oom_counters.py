"""Reads a cgroup's OOM counters, in both versions."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from wharfside_agent.core.cgroup_paths import Cgroup
from wharfside_agent.core.cgroup_text import parse_flat, parse_number
from wharfside_agent.ports.watcher import OomCounters

FILE_BYTES = 256 * 1024

V1_CONTROL = "memory.oom_control"
V2_EVENTS = "memory.events"


def read_counters(cgroup: Cgroup) -> OomCounters | None:
    """None: the cgroup is gone, or has no memory controller."""
    folder = cgroup.folder("memory")
    if folder is None:
        return None
    return _read_v2(folder) if cgroup.version == "v2" else _read_v1(folder)


def read_kills(cgroup: Cgroup) -> int | None:
    """`oom_kills` alone: a third of the reading, for who looks whether there is news."""
    folder = cgroup.folder("memory")
    if folder is None:
        return None
    return _events(folder).get("oom_kill") if cgroup.version == "v2" else _kills_v1(folder)


def _read_v2(folder: Path) -> OomCounters | None:
    events = _events(folder)
    if "oom_kill" not in events:
        return None
    return OomCounters(
        oom_kills=events["oom_kill"],
        oom_events=events.get("oom"),
        limit_bytes=parse_number(read_text(f"{folder}/memory.max")),
        peak_bytes=parse_number(read_text(f"{folder}/memory.peak")),
    )


def _events(folder: Path) -> dict[str, int]:
    """memory.events counts for the cgroups below, too (where crun may have put the container)."""
    return parse_flat(read_text(f"{folder}/{V2_EVENTS}") or "")


def _read_v1(folder: Path) -> OomCounters | None:
    kills = _kills_v1(folder)
    if kills is None:
        return None
    return OomCounters(
        oom_kills=kills,
        limit_bytes=parse_number(read_text(f"{folder}/memory.limit_in_bytes")),
        peak_bytes=parse_number(read_text(f"{folder}/memory.max_usage_in_bytes")),
    )


def _kills_v1(folder: Path) -> int | None:
    """Each cgroup of v1 counts for itself alone: those below are added."""
    kills = [
        parse_flat(text).get("oom_kill", 0)
        for each in tree(folder)
        if (text := read_text(f"{each}/{V1_CONTROL}")) is not None
    ]
    return sum(kills) if kills else None


def tree(folder: Path) -> Iterator[Path]:
    """`folder` and the cgroups below. The link count tells without a look that there are none."""
    yield folder
    try:
        if folder.stat().st_nlink > 2:
            for child in folder.iterdir():
                if child.is_dir():
                    yield from tree(child)
    except OSError:
        return  # it went away while we looked


def read_text(path: Path | str) -> str | None:
    """None: the file is not there, or its cgroup went away (ENODEV).

    Raises OSError: no descriptor is left to look with.

    By read(2) alone: every exit waits for a few of these, and a file object costs
    three times as much, a Path half as much. The largest file of a cgroup has some KiB.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):  # it may be there all the same
            raise
        return None
    try:
        return os.read(fd, FILE_BYTES).decode(errors="replace")
    except OSError:
        return None
    finally:
        os.close(fd)
