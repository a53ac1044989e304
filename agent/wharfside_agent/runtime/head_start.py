"""Lets the kernel begin early with what the first move of a process into a cgroup waits for.

A move takes a lock that every fork and exit reads at no cost (cgroup_threadgroup_rwsem), and who
takes it for writing waits until each processor has heard of it: for a grace period of RCU, 4 to 18
ms on an idle machine, a third of a short container's life. Whoever comes some ms after that finds
them told (kernel/cgroup/cgroup.c, cgroup_attach_lock; kernel/rcu/sync.c). So when a launch begins,
a thread moves this process to where it is already: by the time that the runtime is loaded and
moves its container, the wait is over. With the mount option `favordynmods` (Linux 6.1) none waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from wharfside_agent.core.cgroup_paths import CgroupMounts

OWN_CGROUPS = Path("/proc/self/cgroup")

OVER_SECONDS = 1.0
"""A grace period takes some ms; without its end a launch is slower, and no more."""


class HeadStart:
    """One move at a time: launches that begin meanwhile have the good of it, too."""

    def __init__(self, mounts: CgroupMounts, own_cgroups: Path = OWN_CGROUPS) -> None:
        self._own = next(_own_lists(mounts, own_cgroups.read_text()), None)
        self._moving: asyncio.Future[None] | None = None

    def give(self) -> None:
        """Never waits, never fails."""
        if self._own is None or (self._moving is not None and not self._moving.done()):
            return
        loop = asyncio.get_running_loop()
        self._moving = loop.run_in_executor(None, _move_in_place, self._own)

    async def over(self) -> None:
        """From now on, for some ms, a move takes no time; at most OVER_SECONDS."""
        if self._moving is not None:
            await asyncio.wait([self._moving], timeout=OVER_SECONDS)


def _move_in_place(own: Path) -> None:
    with suppress(OSError):
        own.write_text("0")  # the writer itself (cgroups(7))


def _own_lists(mounts: CgroupMounts, own_cgroups: str) -> Iterator[Path]:
    """`cgroup.procs` of the cgroups that this process is in, as far as they can be seen here."""
    for line in own_cgroups.splitlines():
        _, names, path = line.split(":", 2)
        tree = mounts.controllers.get(names.split(",")[0]) if names else mounts.unified
        if tree is not None and (own := tree / path.lstrip("/") / "cgroup.procs").exists():
            yield own
