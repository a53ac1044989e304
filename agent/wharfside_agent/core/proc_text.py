"""What the kernel writes in /proc, parsed. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wharfside_agent.core.cgroup_text import USER_HZ_US, stalled
from wharfside_protocol.stats import Usage

STAT_BYTES = 4096
"""More than /proc/PID/stat ever has: 52 numbers and a name of 64 bytes at most."""


MACHINE_FILES = (
    "stat",
    "meminfo",
    "loadavg",
    "pressure/cpu",
    "pressure/memory",
    "pressure/io",
)
"""Below /proc: what a machine's usage is made of."""


@dataclass(frozen=True, slots=True)
class ProcStat:
    """Of /proc/PID/stat (proc_pid_stat(5)): `start_time` is in clock ticks since boot,
    `cpu_ticks` what it has used so far.

    `exit_status` is a zombie's wait status; 0 also where this process may not read it.
    """

    pid: int
    state: str
    parent: int
    start_time: int
    exit_status: int = 0
    cpu_ticks: int = 0


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
        cpu_ticks=int(fields[11]) + int(fields[12]),
    )


def machine_usage(texts: Mapping[str, str], uptime_us: int) -> Usage:
    """Of MACHINE_FILES, each by its name; what is not there is not told (proc(5), psi.rst)."""
    sizes = _meminfo(texts.get("meminfo", ""))
    total, available = sizes.get("MemTotal"), sizes.get("MemAvailable")
    return Usage(
        uptime_us=uptime_us,
        cpu_us=_busy_us(texts.get("stat", "")),
        memory_bytes=None if total is None or available is None else max(total - available, 0),
        memory_limit_bytes=total,
        pids=_tasks(texts.get("loadavg", "")),
        cpu_stalled=stalled(texts.get("pressure/cpu", "")),
        memory_stalled=stalled(texts.get("pressure/memory", "")),
        io_stalled=stalled(texts.get("pressure/io", "")),
    )


def _busy_us(stat: str) -> int | None:
    """Of all CPUs together: user, nice, system, irq, softirq, steal; guests are in user."""
    words = stat.partition("\n")[0].split()
    if len(words) < 9 or words[0] != "cpu":
        return None
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, words[1:9])
    return (user + nice + system + irq + softirq + steal) * USER_HZ_US


def _meminfo(text: str) -> dict[str, int]:
    """Bytes, of lines such as `MemTotal: 1024 kB`."""
    pairs = (line.split() for line in text.splitlines())
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in pairs if len(words) == 3}


def _tasks(loadavg: str) -> int | None:
    """The machine's threads: `0.20 0.18 0.12 1/80 11206` has 80."""
    words = loadavg.split()
    return int(words[3].partition("/")[2]) if len(words) == 5 else None
