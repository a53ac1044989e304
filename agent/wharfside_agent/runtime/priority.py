"""The agent goes before its containers; what it starts goes back among them.

A node whose containers take all of its CPUs is still there, and tells exits in time.
The niceness is not reset by the kernel on fork (SCHED_RESET_ON_FORK, sched(7)): vfork
holds the whole loop until the child has called exec, so the child must come to run at
once, too. It is put back right after, and conmon, from which containers come, waits on
its start pipe until then: nothing in a container ever runs before others.
"""

from __future__ import annotations

import os
from contextlib import suppress

NICENESS = -10


class _Process:
    """This one; its niceness is one for all, as the process is."""

    started_with: int | None = None


def go_first() -> None:
    """Raises this process, before it has threads. Without CAP_SYS_NICE nothing changes."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    try:
        os.setpriority(os.PRIO_PROCESS, 0, min(before, NICENESS))
    except PermissionError:
        return
    _Process.started_with = before


def put_back(pid: int) -> None:
    """Gives a child that was just started the niceness that the agent was started with."""
    if _Process.started_with is not None:
        with suppress(ProcessLookupError):
            os.setpriority(os.PRIO_PROCESS, pid, _Process.started_with)
