"""Devices by type and numbers, as the kernel's device cgroup has them: `c 10:229`, `b 8:*`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DEVICE = r"^[abcu] ([0-9]+|\*):([0-9]+|\*)$(?!\n)"
_PARTS = re.compile(DEVICE)

ANY = -1


@dataclass(frozen=True, slots=True)
class Device:
    """`kind`: b, c, or a for both; ANY for every number."""

    kind: str
    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.kind} {_shown(self.major)}:{_shown(self.minor)}"

    def within(self, allowed: Device) -> bool:
        return (
            allowed.kind in ("a", self.kind)
            and allowed.major in (ANY, self.major)
            and allowed.minor in (ANY, self.minor)
        )


def device(pattern: str) -> Device:
    """Raises ValueError: it is no pattern."""
    found = _PARTS.match(pattern)
    if found is None:
        raise ValueError(f"{pattern!r} is no device: write it as `c 10:229`")
    major, minor = (ANY if part == "*" else int(part) for part in found.groups())
    return Device(_kind(pattern[0]), major, minor)


def device_of(entry: Mapping[str, Any]) -> Device:
    """Of `linux.devices` or `linux.resources.devices` (config-linux.md); no number: every one."""
    return Device(_kind(str(entry.get("type") or "a")), _of(entry, "major"), _of(entry, "minor"))


def _kind(letter: str) -> str:
    """u is c, unbuffered."""
    return {"u": "c", "p": "p"}.get(letter, letter)


def _of(entry: Mapping[str, Any], name: str) -> int:
    number = entry.get(name)
    return number if isinstance(number, int) and number >= 0 else ANY


def _shown(number: int) -> str:
    return "*" if number == ANY else str(number)


# What every container may open: runtime-spec config-linux.md, "Default Devices".
USUAL = tuple(
    device(pattern)
    for pattern in (
        *("c 1:3", "c 1:5", "c 1:7", "c 1:8", "c 1:9"),  # null, zero, full, random, urandom
        *("c 5:0", "c 5:1", "c 5:2", "c 136:*"),  # tty, console, ptmx, pts
    )
)
