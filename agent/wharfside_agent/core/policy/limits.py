"""What a config's resources limit, in the units of the wire; nil: not limited."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from wharfside_protocol.specs import Limits


class Amounts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Bytes, processes, hundredths of a CPU, a weight (100 where nobody gave one)."""

    memory_bytes: int | None = None
    swap_bytes: int | None = None
    pids: int | None = None
    cpu_percent: int | None = None
    cpu_weight: int | None = None


UNLIMITED = Amounts()

_FIELDS = Amounts.__struct_fields__


def amounts_in(limits: Limits | None) -> Amounts:
    """Of limits as a caller gives them."""
    if limits is None:
        return Amounts()
    return Amounts(**{name: getattr(limits, name) for name in _FIELDS})


def amounts_of(resources: Mapping[str, Any]) -> Amounts:
    """Of `linux.resources`. A file of `unified` is written last, and so wins over its field."""
    memory, cpu = resources.get("memory") or {}, resources.get("cpu") or {}
    unified = resources.get("unified") or {}
    limit = _limit(memory.get("limit"))
    both = _limit(memory.get("swap"))
    swap = None if both is None or limit is None else max(0, both - limit)
    return Amounts(
        memory_bytes=_file(unified, "memory.max", limit),
        swap_bytes=_file(unified, "memory.swap.max", swap),
        pids=_file(unified, "pids.max", _limit((resources.get("pids") or {}).get("limit"))),
        cpu_percent=_cpu_file(unified, _percent(cpu.get("quota"), cpu.get("period"))),
        cpu_weight=_file(unified, "cpu.weight", _weight(cpu.get("shares"))),
    )


def _limit(value: Any) -> int | None:
    """0 and less mean no limit (config-linux.md)."""
    return value if isinstance(value, int) and value > 0 else None


def _percent(quota: Any, period: Any) -> int | None:
    """Rounded up: a limit is never taken for a smaller one."""
    per = _limit(period) or 100_000
    return None if _limit(quota) is None else -(-quota * 100 // per)


def _weight(shares: Any) -> int | None:
    """As crun and runc convert them (crun.1, "CPU controller"), rounded up."""
    found = _limit(shares)
    return None if found is None else 1 + -(-(max(2, found) - 2) * 9999 // 262_142)


def _file(unified: Mapping[str, str], name: str, otherwise: int | None) -> int | None:
    if name not in unified:
        return otherwise
    text = str(unified[name]).strip()
    return int(text) if text.isdecimal() else None


def _cpu_file(unified: Mapping[str, str], otherwise: int | None) -> int | None:
    if "cpu.max" not in unified:
        return otherwise
    quota, _, period = str(unified["cpu.max"]).strip().partition(" ")
    if not quota.isdecimal():
        return None
    return _percent(int(quota), int(period) if period.isdecimal() else None)
