"""Pressure stall information of the machine and of all containers together (psi.rst)."""

from __future__ import annotations

from pathlib import Path

from wharfside_agent.core.cgroup_paths import Cgroup
from wharfside_agent.core.cgroup_text import parse_pressure
from wharfside_agent.watchers.oom_counters import read_text
from wharfside_protocol.stats import Pressure

RESOURCES = ("cpu", "memory", "io")

PROC_PRESSURE = Path("/proc/pressure")


def read_pressure(containers: Cgroup) -> dict[tuple[str, str], Pressure]:
    """By scope (`host`, `containers`) and resource, as far as the kernel tells.

    `containers` needs the tree of cgroup version 2; three small files each.
    """
    found = {("host", name): PROC_PRESSURE / name for name in RESOURCES}
    folder = containers.folder("unified")
    if folder is not None:
        found |= {("containers", name): folder / f"{name}.pressure" for name in RESOURCES}
    told = {key: parse_pressure(read_text(path) or "") for key, path in found.items()}
    return {key: pressure for key, pressure in told.items() if pressure is not None}
