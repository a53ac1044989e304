"""What the metrics read: the agent's parts, and files of the kernel that a thread has read."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wharfside_agent.composition.parts import Parts
from wharfside_protocol.stats import Pressure


@dataclass(frozen=True, slots=True)
class Sources:
    """`free_bytes` of `disk_bytes` are free on the file system of state_dir."""

    parts: Parts
    pressure: Mapping[tuple[str, str], Pressure]
    free_bytes: int
    disk_bytes: int


async def look(parts: Parts) -> Sources:
    """In a thread: a file system may take its time."""
    return await asyncio.to_thread(_look, parts, parts.settings.state_dir)


def _look(parts: Parts, state_dir: Path) -> Sources:
    disk = os.statvfs(state_dir)
    free, size = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
    return Sources(parts, parts.machine.pressure(), free, size)
