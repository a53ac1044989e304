"""Limits of the wire -> the `resources` of runtime-spec config-linux.md, for create and update."""

from __future__ import annotations

from typing import Any, Literal

from wharfside_protocol.errors import Invalid
from wharfside_protocol.specs import Limits

CgroupVersion = Literal["v1", "v2"]

CPU_PERIOD_US = 100_000

# Files of cgroup v2 that a bundle may set past the fields (`unified`), by the
# limit that then must win over them.
UNIFIED_FILES = {
    "memory_bytes": ("memory.max", "memory.high", "memory.swap.max"),
    "swap_bytes": ("memory.swap.max",),
    "pids": ("pids.max",),
    "cpu_percent": ("cpu.max",),
    "cpu_weight": ("cpu.weight", "cpu.weight.nice"),
    "cpuset": ("cpuset.cpus",),
}


def to_resources(
    limits: Limits, version: CgroupVersion, before: Limits | None = None
) -> dict[str, Any]:
    """Only what `limits` gives; `before` holds the limits that an update finds in force.

    Raises:
        Invalid: swap is limited without memory: the kernel's v1 and the OCI field count
            both together.
    """
    parts = {
        "memory": _memory(limits, before or Limits()),
        "pids": {} if limits.pids is None else {"limit": limits.pids},
        "cpu": _cpu(limits, version),
        "unified": _unified(limits, version),
    }
    return {name: part for name, part in parts.items() if part}


def shares_of(weight: int) -> int:
    """cgroup v2 weight (1..10000, 100 is the default) -> v1 shares (2..262144, 1024).

    100 is 1024 exactly and both ends meet: what "no wish" means stays so. The line
    that crun and runc draw from shares to weights takes 100 to 2597 shares, two and a
    half times the weight of a neighbour that wished nothing.
    """
    if weight <= 100:
        return 2 + (weight - 1) * 1022 // 99
    return 1024 + (weight - 100) * 261_120 // 9900


def _memory(limits: Limits, before: Limits) -> dict[str, int]:
    """memory.swap is memory and swap together (config-linux.md, "Memory").

    A swap limit is told again with each new memory limit, else the sum would stay
    and the swap share shrink or, above the sum, the kernel refuse.
    """
    memory = limits.memory_bytes if limits.memory_bytes is not None else before.memory_bytes
    swap = limits.swap_bytes if limits.swap_bytes is not None else before.swap_bytes
    if limits.memory_bytes is None and limits.swap_bytes is None:
        return {}
    if memory is None:
        raise Invalid("limits.swap_bytes needs limits.memory_bytes", field="limits.swap_bytes")
    return {"limit": memory} if swap is None else {"limit": memory, "swap": memory + swap}


def _cpu(limits: Limits, version: CgroupVersion) -> dict[str, Any]:
    cpu: dict[str, Any] = {}
    if limits.cpu_percent is not None:
        cpu["quota"] = limits.cpu_percent * CPU_PERIOD_US // 100
        cpu["period"] = CPU_PERIOD_US
    if limits.cpu_weight is not None and version == "v1":
        cpu["shares"] = shares_of(limits.cpu_weight)
    if limits.cpuset is not None:
        cpu["cpus"] = limits.cpuset
    return cpu


def _unified(limits: Limits, version: CgroupVersion) -> dict[str, str]:
    """The weight in v2 goes past `shares`: runtimes differ in how they convert those."""
    if limits.cpu_weight is None or version == "v1":
        return {}
    return {"cpu.weight": str(limits.cpu_weight)}
