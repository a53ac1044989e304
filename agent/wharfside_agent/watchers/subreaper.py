"""The agent as the parent of orphans: of conmons, and of what theirs leave behind."""

from __future__ import annotations

import asyncio
import ctypes
import os
from contextlib import suppress

_PR_SET_CHILD_SUBREAPER = 36

IDLE_SECONDS = 0.25
SUSPECT_SECONDS = 0.05


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

    This must not take long: as long as a process of a PID namespace is not reaped, the
    namespace's init cannot end (pid_namespaces(7)), and its exit cannot be told. An exec
    that fails in crun leaves such a one.

    Whoever started or watches a process reaps it in the same turn of the loop, and wants
    its status. So only what is found dead by two sweeps in a row is taken as nobody's.
    """

    def __init__(self) -> None:
        self._suspect: int | None = None

    def sweep(self) -> bool:
        """One look, one system call where no child is dead; whether one was reaped."""
        dead = _first_dead()
        nobodys = dead is not None and dead == self._suspect
        if dead is not None and nobodys:
            _reap(dead)
            dead = _first_dead()
        self._suspect = dead
        return nobodys

    async def run(self) -> None:
        """Sweeps for ever."""
        while True:
            await asyncio.sleep(IDLE_SECONDS if self._suspect is None else SUSPECT_SECONDS)
            self.sweep()


def _first_dead() -> int | None:
    try:
        told = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return None if told is None else told.si_pid


def _reap(pid: int) -> None:
    with suppress(ChildProcessError):  # its owner came after all
        os.waitpid(pid, os.WNOHANG)
