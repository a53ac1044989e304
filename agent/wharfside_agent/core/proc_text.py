"""What the kernel writes in /proc, parsed. Pure."""

from __future__ import annotations

from dataclasses import dataclass

STAT_BYTES = 4096
"""More than /proc/PID/stat ever has: 52 numbers and a name of 64 bytes at most."""


@dataclass(frozen=True, slots=True)
class ProcStat:
    """Of /proc/PID/stat (proc_pid_stat(5)): `start_time` is in clock ticks since boot.

    `exit_status` is a zombie's wait status; 0 also where this process may not read it.
    """

    pid: int
    state: str
    parent: int
    start_time: int
    exit_status: int = 0


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
        exit_status=int(fields[49]) if len(fields) > 49 else 0,
    )
