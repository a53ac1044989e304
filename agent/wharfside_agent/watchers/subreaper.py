"""The agent as the parent of orphans: of conmons, and of containers whose conmon was killed."""

from __future__ import annotations

import asyncio
import ctypes
import os
from contextlib import suppress
from pathlib import Path

from wharfside_agent.watchers.pidfd import proc_stat

_PR_SET_CHILD_SUBREAPER = 36

SWEEP_SECONDS = 10.0


def become_subreaper() -> None:
    """From now on orphaned descendants become children of this process (prctl(2)).

    Raises:
        OSError: the kernel would not.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


class Sweeper:
    """Reaps the dead children that nobody waits for.

    Whoever started or watches a process reaps it within milliseconds, and wants its
    status. So only what is found dead by two sweeps in a row is taken as nobody's.
    """

    def __init__(self) -> None:
        self._suspects: frozenset[int] = frozenset()

    def sweep(self) -> int:
        """One look; how many were reaped. Costs one system call where no child is dead."""
        if not _any_dead():
            self._suspects = frozenset()
            return 0
        dead = _dead_children()
        nobodys = dead & self._suspects
        for pid in nobodys:
            _reap(pid)
        self._suspects = dead - nobodys
        return len(nobodys)

    async def run(self) -> None:
        """Sweeps for ever."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self.sweep()


def _any_dead() -> bool:
    try:
        return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return False


def _dead_children() -> frozenset[int]:
    """Zombies among our children. An adopted one is the child of any of our threads."""
    stats = (proc_stat(pid) for pid in _children())
    return frozenset(stat.pid for stat in stats if stat is not None and stat.state == "Z")


def _children() -> list[int]:
    threads = Path("/proc/self/task")
    return [int(pid) for task in threads.iterdir() for pid in _listed(task / "children")]


def _listed(children: Path) -> list[str]:
    try:
        return children.read_text().split()
    except FileNotFoundError:  # the thread has ended
        return []


def _reap(pid: int) -> None:
    with suppress(ChildProcessError):  # its owner came after all
        os.waitpid(pid, os.WNOHANG)
