"""Lets the kernel begin early with what the first move of a process into a cgroup waits for.

A move takes a lock that every fork and exit reads at no cost (cgroup_threadgroup_rwsem), and who
takes it for writing waits until each processor has heard of it: for a grace period of RCU, 4 to 18
ms on an idle machine, a third of a short container's life. Whoever comes some ms after that finds
them told (kernel/cgroup/cgroup.c, cgroup_attach_lock; kernel/rcu/sync.c). So when a launch is asked
for, a thread moves this process to where it is already: by the time that the runtime is loaded and
moves its container, the wait is over.

With the mount option `favordynmods` (Linux 6.1) nobody waits, nor do launches that follow one
another closely; and the thread alone takes half a millisecond of a launch. So after a move that was
over at once there are none for a moment; where it came after a while, for longer and longer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from wharfside_agent.core.cgroup_paths import CgroupMounts

OWN_CGROUPS = Path("/proc/self/cgroup")

OVER_SECONDS = 1.0
"""A grace period takes some ms; without its end a launch is slower, and no more."""

QUICK_SECONDS = 0.001
"""A move that is over so soon has not waited: no grace period is as short."""

ALONE_SECONDS = 0.2
"""So long after a launch the kernel has forgotten what it was told: a move shows what it costs."""

BUSY_REST_SECONDS = 0.1
"""Of a node where each launch spares the next one the wait."""

FIRST_REST_SECONDS = 1.0
LONGEST_REST_SECONDS = 60.0


class HeadStart:
    """One move at a time: launches that begin meanwhile have the good of it, too."""

    def __init__(
        self,
        mounts: CgroupMounts,
        own_cgroups: Path = OWN_CGROUPS,
        *,
        quick_seconds: float = QUICK_SECONDS,
    ) -> None:
        self._own = next(_own_lists(mounts, own_cgroups.read_text()), None)
        self._quick_seconds = quick_seconds
        self._moving: asyncio.Future[float] | None = None
        self._asked_at = self._rests_until = -LONGEST_REST_SECONDS
        self._rest_seconds = 0.0

    def give(self) -> None:
        """Never waits, never fails."""
        if self._own is None or (self._moving is not None and not self._moving.done()):
            return
        loop = asyncio.get_running_loop()
        now = loop.time()
        alone, self._asked_at = now - self._asked_at >= ALONE_SECONDS, now
        if now < self._rests_until:
            return
        self._moving = loop.run_in_executor(None, _move_in_place, self._own)
        self._moving.add_done_callback(partial(self._learn, alone))

    async def over(self) -> None:
        """From now on, for some ms, a move takes no time; at most OVER_SECONDS."""
        if self._moving is not None:
            await asyncio.wait([self._moving], timeout=OVER_SECONDS)

    def _learn(self, alone: bool, moving: asyncio.Future[float]) -> None:
        """Others on this machine may have told the kernel: so one quick move alone says little."""
        if moving.cancelled():
            return
        if moving.result() >= self._quick_seconds:
            self._rest_seconds = 0.0
            return
        rest = BUSY_REST_SECONDS
        if alone:
            longer = max(FIRST_REST_SECONDS, 2 * self._rest_seconds)
            rest = self._rest_seconds = min(longer, LONGEST_REST_SECONDS)
        self._rests_until = asyncio.get_running_loop().time() + rest


def _move_in_place(own: Path) -> float:
    """The seconds that it took."""
    began = time.monotonic()
    with suppress(OSError):
        own.write_text("0")  # the writer itself (cgroups(7))
    return time.monotonic() - began


def _own_lists(mounts: CgroupMounts, own_cgroups: str) -> Iterator[Path]:
    """`cgroup.procs` of the cgroups that this process is in, as far as they can be seen here."""
    for line in own_cgroups.splitlines():
        _, names, path = line.split(":", 2)
        tree = mounts.controllers.get(names.split(",")[0]) if names else mounts.unified
        if tree is not None and (own := tree / path.lstrip("/") / "cgroup.procs").exists():
            yield own
