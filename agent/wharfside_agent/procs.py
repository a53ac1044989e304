"""A look at one process in /proc, for every room that knows processes by their pids."""

from __future__ import annotations

import os

from wharfside_agent.core.proc_text import STAT_BYTES, ProcStat, parse_stat


def proc_stat(pid: int) -> ProcStat | None:
    """None: no such process."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return parse_stat(os.read(fd, STAT_BYTES).decode(errors="replace"))
    except ProcessLookupError:
        return None
    finally:
        os.close(fd)
