"""Arms OOM watches, by the version of the cgroup."""

from __future__ import annotations

from wharfside_agent.core.cgroup_paths import Cgroup
from wharfside_agent.watchers import oom_v1
from wharfside_agent.watchers.oom_v2 import MemoryEvents
from wharfside_agent.watchers.oom_watch import CounterOomWatch


class CgroupOoms:
    """ports.watcher.Ooms."""

    def __init__(self) -> None:
        self._memory_events = MemoryEvents()

    def arm(self, cgroup: Cgroup, seen_kills: int = 0) -> CounterOomWatch:
        """Also where there is no memory controller: such a watch never tells anything."""
        watch = CounterOomWatch(cgroup, seen_kills)
        folder = cgroup.folder("memory")
        if folder is None:
            return watch
        if cgroup.version == "v2":
            self._memory_events.connect(watch, folder)
        else:
            oom_v1.connect(watch, folder)
        return watch
