"""What the kernel writes in cgroup files, parsed into the records of the wire. Pure.

Sources: cgroups(7), Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/*.rst, psi.rst.
Every function takes the texts by file name; a file that is not there is not in the map.
"""

from __future__ import annotations

from collections.abc import Mapping

from wharfside_protocol.stats import (
    CpuStats,
    IoDevice,
    MemoryStats,
    PidsStats,
    Pressure,
    PressureLine,
    Stats,
    Usage,
)

Texts = Mapping[str, str]

USER_HZ_US = 10_000
"""cpuacct.stat and /proc/stat count in USER_HZ, 100 a second in every kernel's ABI."""

_NO_LIMIT = 2**62
"""v1 writes a page-rounded 2^63 where there is no limit."""

_V1_BYTES = "blkio.throttle.io_service_bytes_recursive"
_V1_COUNTS = "blkio.throttle.io_serviced_recursive"

V1_CPU, V2_CPU = "cpuacct.usage", "cpu.stat"
"""The one file that tells the CPU time used."""

PRESSURES = ("cpu.pressure", "memory.pressure", "io.pressure")
"""PSI is of version 2's tree alone, which the hybrid has beside the controllers of version 1."""

V1_FILES: Mapping[str, tuple[str, ...]] = {
    "cpuacct": ("cpuacct.usage", "cpuacct.stat"),
    "cpu": ("cpu.stat",),
    "memory": (
        "memory.usage_in_bytes",
        "memory.max_usage_in_bytes",
        "memory.limit_in_bytes",
        "memory.stat",
        "memory.oom_control",
    ),
    "blkio": (_V1_BYTES, _V1_COUNTS),
    "pids": ("pids.current", "pids.max"),
    "unified": PRESSURES,
}

V1_USAGE: Mapping[str, tuple[str, ...]] = {
    "cpuacct": (V1_CPU,),
    "memory": ("memory.usage_in_bytes", "memory.limit_in_bytes"),
    "pids": ("pids.current", "pids.max"),
    "unified": PRESSURES,
}
"""What a usage is made of: a quarter of the files, and none that the kernel has to sum up."""

V2_USAGE = (
    V2_CPU,
    "memory.current",
    "memory.max",
    "pids.current",
    "pids.max",
    *PRESSURES,
)

V2_FILES = (
    "cpu.stat",
    "memory.current",
    "memory.peak",
    "memory.max",
    "memory.stat",
    "memory.events",
    "io.stat",
    "pids.current",
    "pids.max",
    *PRESSURES,
)


def cpu_usage_us(texts: Texts) -> int | None:
    """The CPU time used, of V1_CPU or V2_CPU alone."""
    cpu = _v1_cpu(texts) if V1_CPU in texts else _v2_cpu(texts)
    return None if cpu is None else cpu.usage_us


def v2_stats(texts: Texts, timestamp: str) -> Stats:
    return Stats(
        timestamp=timestamp,
        cgroup="v2",
        cpu=_v2_cpu(texts),
        memory=_v2_memory(texts),
        io=_v2_io(texts.get("io.stat", "")),
        pids=_pids(texts),
        cpu_pressure=parse_pressure(texts.get("cpu.pressure", "")),
        memory_pressure=parse_pressure(texts.get("memory.pressure", "")),
        io_pressure=parse_pressure(texts.get("io.pressure", "")),
    )


def v1_stats(texts: Texts, timestamp: str) -> Stats:
    return Stats(
        timestamp=timestamp,
        cgroup="v1",
        cpu=_v1_cpu(texts),
        memory=_v1_memory(texts),
        io=_v1_io(texts),
        pids=_pids(texts),
        cpu_pressure=parse_pressure(texts.get("cpu.pressure", "")),
        memory_pressure=parse_pressure(texts.get("memory.pressure", "")),
        io_pressure=parse_pressure(texts.get("io.pressure", "")),
    )


def usage(texts: Texts, uptime_us: int) -> Usage:
    """Of V1_USAGE or V2_USAGE."""
    memory = _v1_memory(texts) if "memory.usage_in_bytes" in texts else _v2_memory(texts)
    pids = _pids(texts)
    return Usage(
        uptime_us=uptime_us,
        cpu_us=cpu_usage_us(texts),
        memory_bytes=memory.usage_bytes if memory else None,
        memory_limit_bytes=memory.limit_bytes if memory else None,
        pids=pids.current if pids else None,
        pids_limit=pids.limit if pids else None,
        cpu_stalled=stalled(texts.get("cpu.pressure", "")),
        memory_stalled=stalled(texts.get("memory.pressure", "")),
        io_stalled=stalled(texts.get("io.pressure", "")),
    )


def stalled(text: str) -> float | None:
    """Percent of the last 10 s in which some task was stalled, of a pressure file."""
    pressure = parse_pressure(text)
    return None if pressure is None else pressure.some.avg10


def parse_flat(text: str) -> dict[str, int]:
    """Lines of `name number`; others are left out."""
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def parse_number(text: str | None) -> int | None:
    """None: no such file, or `max`, or v1's way to say that there is no limit."""
    if text is None or not text.strip().isdigit():
        return None
    number = int(text)
    return number if number < _NO_LIMIT else None


def parse_pressure(text: str) -> Pressure | None:
    """None: a kernel without PSI, or an empty file."""
    lines = {line.split()[0]: _pressure_line(line) for line in text.splitlines() if line}
    if "some" not in lines:
        return None
    return Pressure(some=lines["some"], full=lines.get("full"))


def _pressure_line(line: str) -> PressureLine:
    fields = dict(word.split("=", 1) for word in line.split()[1:])
    return PressureLine(
        avg10=float(fields["avg10"]),
        avg60=float(fields["avg60"]),
        avg300=float(fields["avg300"]),
        total_us=int(fields["total"]),
    )


def _v2_cpu(texts: Texts) -> CpuStats | None:
    stat = parse_flat(texts.get("cpu.stat", ""))
    if "usage_usec" not in stat:
        return None
    return CpuStats(
        usage_us=stat["usage_usec"],
        user_us=stat.get("user_usec"),
        system_us=stat.get("system_usec"),
        periods=stat.get("nr_periods"),
        throttled_periods=stat.get("nr_throttled"),
        throttled_us=stat.get("throttled_usec"),
    )


def _v1_cpu(texts: Texts) -> CpuStats | None:
    usage_ns = parse_number(texts.get("cpuacct.usage"))
    if usage_ns is None:
        return None
    ticks = parse_flat(texts.get("cpuacct.stat", ""))
    stat = parse_flat(texts.get("cpu.stat", ""))
    throttled_ns = stat.get("throttled_time")
    return CpuStats(
        usage_us=usage_ns // 1000,
        user_us=_ticks_us(ticks.get("user")),
        system_us=_ticks_us(ticks.get("system")),
        periods=stat.get("nr_periods"),
        throttled_periods=stat.get("nr_throttled"),
        throttled_us=None if throttled_ns is None else throttled_ns // 1000,
    )


def _ticks_us(ticks: int | None) -> int | None:
    return None if ticks is None else ticks * USER_HZ_US


def _v2_memory(texts: Texts) -> MemoryStats | None:
    usage = parse_number(texts.get("memory.current"))
    if usage is None:
        return None
    stat = parse_flat(texts.get("memory.stat", ""))
    return MemoryStats(
        usage_bytes=usage,
        peak_bytes=parse_number(texts.get("memory.peak")),
        limit_bytes=parse_number(texts.get("memory.max")),
        file_bytes=stat.get("file"),
        anon_bytes=stat.get("anon"),
        oom_kills=parse_flat(texts.get("memory.events", "")).get("oom_kill"),
    )


def _v1_memory(texts: Texts) -> MemoryStats | None:
    usage = parse_number(texts.get("memory.usage_in_bytes"))
    if usage is None:
        return None
    stat = parse_flat(texts.get("memory.stat", ""))
    return MemoryStats(
        usage_bytes=usage,
        peak_bytes=parse_number(texts.get("memory.max_usage_in_bytes")),
        limit_bytes=parse_number(texts.get("memory.limit_in_bytes")),
        file_bytes=stat.get("total_cache"),
        anon_bytes=stat.get("total_rss"),
        oom_kills=parse_flat(texts.get("memory.oom_control", "")).get("oom_kill"),
    )


def _pids(texts: Texts) -> PidsStats | None:
    current = parse_number(texts.get("pids.current"))
    if current is None:
        return None
    return PidsStats(current=current, limit=parse_number(texts.get("pids.max")))


def _v2_io(text: str) -> list[IoDevice]:
    """Lines of `8:0 rbytes=1 wbytes=2 rios=3 wios=4 ...`; a device without I/O has no fields."""
    devices = []
    for line in text.splitlines():
        device, *words = line.split()
        fields = dict(word.split("=", 1) for word in words if "=" in word)
        if "rbytes" in fields:
            devices.append(
                IoDevice(
                    device=device,
                    read_bytes=int(fields["rbytes"]),
                    written_bytes=int(fields["wbytes"]),
                    reads=int(fields["rios"]),
                    writes=int(fields["wios"]),
                )
            )
    return devices


def _v1_io(texts: Texts) -> list[IoDevice]:
    amounts = _v1_io_table(texts.get(_V1_BYTES, ""))
    counts = _v1_io_table(texts.get(_V1_COUNTS, ""))
    return [
        IoDevice(
            device=device,
            read_bytes=row.get("Read", 0),
            written_bytes=row.get("Write", 0),
            reads=counts.get(device, {}).get("Read", 0),
            writes=counts.get(device, {}).get("Write", 0),
        )
        for device, row in amounts.items()
    ]


def _v1_io_table(text: str) -> dict[str, dict[str, int]]:
    """Lines of `8:0 Read 4096`; the last one, `Total 4096`, is no device's."""
    table: dict[str, dict[str, int]] = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3:
            table.setdefault(words[0], {})[words[1]] = int(words[2])
    return table
