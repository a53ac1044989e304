"""An OOM watch: a doorbell that something rings, and the counters that it then reads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from wharfside_agent.core.cgroup_paths import Cgroup
from wharfside_agent.ports.watcher import OomCounters
from wharfside_agent.watchers.oom_counters import read_counters, read_kills

AGAIN_S = 0.5


class CounterOomWatch:
    """ports.watcher.OomWatch. The counter alone decides; a ring only says when to look."""

    def __init__(self, cgroup: Cgroup, seen_kills: int) -> None:
        self._cgroup = cgroup
        self._told = seen_kills
        self._rung = asyncio.Event()
        self._at_close: list[Callable[[], None]] = []
        self._closed = False

    def ring(self) -> None:
        self._rung.set()

    def is_news(self, kills: int) -> bool:
        """There are kills that `next` has not told yet."""
        return kills > self._told

    async def next(self) -> OomCounters | None:
        while not self._closed:
            self._rung.clear()
            counters = self._news_or_later()
            if counters is not None:
                self._told = counters.oom_kills
                return counters
            await self._rung.wait()
        return None

    def _news_or_later(self) -> OomCounters | None:
        try:
            kills = self.kills()
            if kills is None or not self.is_news(kills):
                return None
            return self.read() or OomCounters(kills)
        except OSError:  # no descriptor to look with
            asyncio.get_running_loop().call_later(AGAIN_S, self.ring)
            return None

    def kills(self) -> int | None:
        return read_kills(self._cgroup)

    def read(self) -> OomCounters | None:
        return read_counters(self._cgroup)

    def at_close(self, then: Callable[[], None]) -> None:
        self._at_close.append(then)

    def close(self) -> None:
        self._closed = True
        self.ring()
        while self._at_close:
            self._at_close.pop()()
