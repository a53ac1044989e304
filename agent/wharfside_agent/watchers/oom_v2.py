"""Rings when `memory.events` of a cgroup of v2 changes: one inotify for all containers.

One for each would soon reach fs.inotify.max_user_instances (128 by default).
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from asyncinotify import Event, Mask

from wharfside_agent.watchers.inotify import LoopInotify
from wharfside_agent.watchers.oom_counters import V2_EVENTS
from wharfside_agent.watchers.oom_watch import CounterOomWatch


class MemoryEvents:
    """The shared inotify. Opened with the first watch, on the loop of that watch."""

    def __init__(self) -> None:
        self._inotify = LoopInotify(self._heard)
        self._watches: dict[int, CounterOomWatch] = {}

    def connect(self, watch: CounterOomWatch, folder: Path) -> None:
        """Quiet where the cgroup is gone: its counters cannot be read either."""
        inotify = self._inotify.open()
        try:
            seen = inotify.add_watch(folder / V2_EVENTS, Mask.MODIFY)
        except FileNotFoundError:
            return
        self._watches[seen.wd] = watch
        watch.at_close(lambda: self._disconnect(seen.wd))

    def _heard(self, event: Event) -> None:
        watch = None if event.watch is None else self._watches.get(event.watch.wd)
        if watch is not None:
            watch.ring()

    def _disconnect(self, wd: int) -> None:
        del self._watches[wd]
        inotify = self._inotify.opened
        if inotify is None:
            return
        for seen in inotify.watches:
            if seen.wd == wd:
                with suppress(OSError):  # its cgroup went away, and the kernel's watch with it
                    inotify.rm_watch(seen)
        if not self._watches:
            self._inotify.close()
