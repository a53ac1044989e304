"""What a container uses: the same record from cgroup v1 and v2."""

from __future__ import annotations

from typing import Literal

from wharfside_protocol.records import Counter, Record, Timestamp


class CpuStats(Record, frozen=True, kw_only=True):
    usage_us: Counter
    user_us: Counter | None = None
    system_us: Counter | None = None
    periods: Counter | None = None
    throttled_periods: Counter | None = None
    throttled_us: Counter | None = None


class MemoryStats(Record, frozen=True, kw_only=True):
    """Bytes. `limit_bytes` is nil where there is none; `oom_kills` counts kills."""

    usage_bytes: Counter
    peak_bytes: Counter | None = None
    limit_bytes: Counter | None = None
    file_bytes: Counter | None = None
    anon_bytes: Counter | None = None
    oom_kills: Counter | None = None


class IoDevice(Record, frozen=True, kw_only=True):
    """Totals since the container's start, for one block device `major:minor`."""

    device: str
    read_bytes: Counter = 0
    written_bytes: Counter = 0
    reads: Counter = 0
    writes: Counter = 0


class PidsStats(Record, frozen=True, kw_only=True):
    current: Counter
    limit: Counter | None = None


class PressureLine(Record, frozen=True, kw_only=True):
    """Percent of the time stalled over 10, 60 and 300 seconds, and the total in microseconds."""

    avg10: float = 0.0
    avg60: float = 0.0
    avg300: float = 0.0
    total_us: Counter = 0


class Pressure(Record, frozen=True, kw_only=True):
    """One line of kernel pressure (PSI): `some` task stalled, all (`full`) stalled."""

    some: PressureLine
    full: PressureLine | None = None


class Stats(Record, frozen=True, kw_only=True):
    """containerd's `Stat{Timestamp, Data}`, typed. PSI is there with cgroup v2 only."""

    timestamp: Timestamp
    cgroup: Literal["v1", "v2"]
    cpu: CpuStats | None = None
    memory: MemoryStats | None = None
    io: list[IoDevice] = []
    pids: PidsStats | None = None
    cpu_pressure: Pressure | None = None
    memory_pressure: Pressure | None = None
    io_pressure: Pressure | None = None


class Usage(Record, frozen=True, kw_only=True):
    """The few figures that a live table wants of a container, or of a whole node.

    `uptime_us`: the node's clock since its boot when they were read; two samples of `cpu_us`
    over it are what is used now. Stalls: percent of the last 10 s in which some task waited
    for it (PSI's `some avg10`); of a container with cgroup v2 only.
    """

    uptime_us: Counter
    cpu_us: Counter | None = None
    memory_bytes: Counter | None = None
    memory_limit_bytes: Counter | None = None
    pids: Counter | None = None
    pids_limit: Counter | None = None
    cpu_stalled: float | None = None
    memory_stalled: float | None = None
    io_stalled: float | None = None
