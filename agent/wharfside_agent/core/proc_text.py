"""What the kernel writes in /proc, parsed. Pure."""

from __future__ import annotations

from dataclasses import dataclass

STAT_BYTES = 4096
"""More than /proc/PID/stat ever has: 52 numbers and a name of 64 bytes at most."""


@dataclass(frozen=True, slots=True)
class ProcStat:
    """Of /proc/PID/stat (proc_pid_stat(5)): `start_time` is in clock ticks since boot."""

    pid: int
    state: str
    parent: int
    start_time: int


def parse_stat(text: str) -> ProcStat:
    """Reads one line; the command in it may hold spaces and parentheses of its own.

    Raises:
        ValueError: not such a line.
    """
    head, _, tail = text.rpartition(")")
    fields = tail.split()
    if len(fields) < 20:
        raise ValueError(f"not a line of /proc/PID/stat: {text!r}")
    return ProcStat(
        pid=int(head.partition(" ")[0]),
        state=fields[0],
        parent=int(fields[1]),
        start_time=int(fields[19]),
    )
