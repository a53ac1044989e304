"""Reads a cgroup's figures: some twenty small files, about half a millisecond.

A usage, for live tables, is a quarter of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from wharfside_agent.core.cgroup_paths import Cgroup
from wharfside_agent.core.cgroup_text import (
    V1_CPU,
    V1_FILES,
    V1_USAGE,
    V2_CPU,
    V2_FILES,
    V2_USAGE,
    cpu_usage_us,
    usage,
    v1_stats,
    v2_stats,
)
from wharfside_agent.core.proc_text import MACHINE_FILES, machine_usage
from wharfside_agent.watchers.oom_counters import read_text
from wharfside_protocol.errors import NotFound
from wharfside_protocol.stats import Stats, Usage
from wharfside_protocol.times import to_timestamp

PROC = Path("/proc")


class CgroupStats:
    """ports.watcher.StatsReader. The named cgroup's files count for those below it, too."""

    def __init__(self, *, now: Callable[[], int] = time.time_ns) -> None:
        self._now = now

    def read(self, cgroup: Cgroup) -> Stats:
        texts = _read(cgroup, V1_FILES, V2_FILES)
        if not texts:
            raise NotFound(f"cgroup {cgroup.path} is gone: its container is over")
        parse = v1_stats if cgroup.version == "v1" else v2_stats
        return parse(texts, to_timestamp(self._now()))

    def usage(self, cgroup: Cgroup) -> Usage | None:
        texts = _read(cgroup, V1_USAGE, V2_USAGE)
        return usage(texts, _uptime_us()) if texts else None

    def cpu_us(self, cgroup: Cgroup) -> int | None:
        controller, name = ("cpuacct", V1_CPU) if cgroup.version == "v1" else ("cpu", V2_CPU)
        folder = cgroup.folder(controller)
        text = None if folder is None else read_text(f"{folder}/{name}")
        return None if text is None else cpu_usage_us({name: text})


def read_machine() -> Usage:
    """The whole machine's."""
    return machine_usage(_texts(PROC, MACHINE_FILES), _uptime_us())


def _read(cgroup: Cgroup, v1: Mapping[str, Iterable[str]], v2: Iterable[str]) -> dict[str, str]:
    """The files of a cgroup in its version, by name, as far as they are there."""
    files = v1.items() if cgroup.version == "v1" else [("unified", v2)]
    texts: dict[str, str] = {}
    for controller, names in files:
        folder = cgroup.folder(controller)
        if folder is not None:
            texts |= _texts(folder, names)
    return texts


def _texts(folder: Path, names: Iterable[str]) -> dict[str, str]:
    texts = {name: read_text(f"{folder}/{name}") for name in names}
    return {name: text for name, text in texts.items() if text is not None}


def _uptime_us() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000
