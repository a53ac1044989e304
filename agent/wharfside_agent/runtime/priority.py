"""The agent goes before its containers; what it starts goes back among them.

A node whose containers take all of its CPUs is still there, and tells exits in time.
The niceness is not reset by the kernel on fork (SCHED_RESET_ON_FORK, sched(7)): vfork
holds the whole loop until the child has called exec, so the child must come to run at
once, too. It is put back right after, and conmon, from which containers come, waits on
its start pipe until then: nothing in a container ever runs before others.

Niceness alone counts among processes of one group only. The kernel's groups are sessions
(autogroup, sched(7)) or, with version 2's cpu controller, cgroups: so the agent's own goes
first, too. Each conmon begins a session of its own, and lies in another cgroup; the runtime's
own commands (start, delete, a dump) stay in the agent's, and go before containers with it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

NICENESS = -10

GROUP_NICENESS = -3
"""Twice the CPU of another group, where all want it. With more it would come to run for each piece
of a container's output, and who is to carry that on would wait (docs/figures.md)."""

AUTOGROUP = Path("/proc/self/autogroup")
"""`/autogroup-25 nice 0` (proc(5)); what is written is the niceness of the whole session."""


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
    _session_first()


def _session_first() -> None:
    """Where the whole session is ours: the shell that an agent was typed into has others in it."""
    if os.getsid(0) != os.getpid():
        return
    with suppress(OSError):  # a kernel without, or others have just been raised
        nice = int(AUTOGROUP.read_text().split()[-1])
        AUTOGROUP.write_text(str(min(nice, GROUP_NICENESS)))


def cgroup_first(leaf: Path) -> None:
    """Raises what is in `leaf`, a cgroup of version 2, among its siblings (cgroup-v2.rst)."""
    with suppress(OSError):  # the cpu controller was not delegated: then it groups nothing
        (leaf / "cpu.weight.nice").write_text(str(GROUP_NICENESS))


def put_back(pid: int) -> None:
    """Gives a child that was just started the niceness that the agent was started with."""
    if _Process.started_with is not None:
        with suppress(ProcessLookupError):
            os.setpriority(os.PRIO_PROCESS, pid, _Process.started_with)
