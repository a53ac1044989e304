"""Who a pid is, beyond its number."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from wharfside_agent.core.proc_text import ProcStat
from wharfside_agent.ports.watcher import ProcessIdentity
from wharfside_agent.procs import proc_stat

_PROC = Path("/proc")
_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
OVER = 0
"""The start time of a process that was over before it could be read; no live one has it."""


def identify(pid: int) -> ProcessIdentity:
    """The identity of a process that was just started; it may have ended since."""
    stat = proc_stat(pid)
    return ProcessIdentity(pid, OVER if stat is None else stat.start_time)


def began_before(stat: ProcStat, at: int) -> bool:
    """Whether the process is as old as a file of `at` (ns since the epoch) that names its pid.

    A younger one has got the pid after it.
    """
    age = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - stat.start_time * _TICK_NS
    return time.time_ns() - age <= at + _TICK_NS


def pids_naming(name: str, programs: frozenset[str]) -> list[int]:
    """Every process that `names` holds for.

    A full look through /proc (some ms): only for what a death has left half done.
    """
    pids = [int(folder.name) for folder in _PROC.iterdir() if folder.name.isdigit()]
    return [pid for pid in pids if names(pid, name, programs)]


def names(pid: int, name: str, programs: frozenset[str]) -> bool:
    """Whether `pid` is one of `programs` and has `name` as an argument, or after `=`."""
    try:
        words = (_PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return False
    if Path(words[0].decode(errors="replace")).name not in programs:
        return False
    wanted = name.encode()
    return any(word == wanted or word.endswith(b"=" + wanted) for word in words)


def children(pid: int) -> list[int]:
    """Of all its threads; by CONFIG_PROC_CHILDREN, which CRIU needs, too (`task/TID/children`)."""
    found: list[int] = []
    for task in (_PROC / str(pid) / "task").glob("*/children"):
        with suppress(OSError):
            found += map(int, task.read_text().split())
    return found
