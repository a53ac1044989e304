"""Reads a cgroup's figures: some twenty small files, about half a millisecond."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from wharfside_agent.core.cgroup_paths import Cgroup
from wharfside_agent.core.cgroup_text import (
    V1_CPU,
    V1_FILES,
    V2_CPU,
    V2_FILES,
    cpu_usage_us,
    v1_stats,
    v2_stats,
)
from wharfside_agent.watchers.oom_counters import read_text
from wharfside_protocol.errors import NotFound
from wharfside_protocol.stats import Stats
from wharfside_protocol.times import to_timestamp


class CgroupStats:
    """ports.watcher.StatsReader. The named cgroup's files count for those below it, too."""

    def __init__(self, *, now: Callable[[], int] = time.time_ns) -> None:
        self._now = now

    def read(self, cgroup: Cgroup) -> Stats:
        files = V1_FILES.items() if cgroup.version == "v1" else [("unified", V2_FILES)]
        texts: dict[str, str] = {}
        for controller, names in files:
            texts.update(_read(cgroup, controller, names))
        if not texts:
            raise NotFound(f"cgroup {cgroup.path} is gone: its container is over")
        parse = v1_stats if cgroup.version == "v1" else v2_stats
        return parse(texts, to_timestamp(self._now()))

    def cpu_us(self, cgroup: Cgroup) -> int | None:
        controller, name = ("cpuacct", V1_CPU) if cgroup.version == "v1" else ("cpu", V2_CPU)
        folder = cgroup.folder(controller)
        text = None if folder is None else read_text(folder / name)
        return None if text is None else cpu_usage_us({name: text})


def _read(cgroup: Cgroup, controller: str, names: Iterable[str]) -> dict[str, str]:
    folder = cgroup.folder(controller)
    if folder is None:
        return {}
    texts = {name: read_text(folder / name) for name in names}
    return {name: text for name, text in texts.items() if text is not None}
