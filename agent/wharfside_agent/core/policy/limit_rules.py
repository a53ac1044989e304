"""A container's limits against the most that they may be, and against what must be limited."""

from __future__ import annotations

from wharfside_agent.core.policy.limits import Amounts
from wharfside_agent.core.policy.rules import AtMost, Rules

MIB = 1024 * 1024


def required(limits: Amounts, rules: Rules) -> str | None:
    found = {"memory": limits.memory_bytes, "pids": limits.pids, "cpu": limits.cpu_percent}
    missing = [name for name in rules.limits_required if found[name] is None]
    return f"no limit of {', '.join(missing)}" if missing else None


def at_most(limits: Amounts, rules: Rules) -> str | None:
    given = {
        "memory_mib": _mib(limits.memory_bytes),
        "swap_mib": _mib(limits.swap_bytes),
        "pids": limits.pids,
        "cpu_percent": limits.cpu_percent,
        "cpu_weight": limits.cpu_weight or 100,
    }
    for name, most in most_of(rules.limits_at_most):
        value = given[name]
        if value is None:
            return f"no limit of {name.partition('_')[0]}"
        if value > most:
            return f"a limit of {name} {value}"
    return None


def _mib(value: int | None) -> int | None:
    """Rounded up."""
    return None if value is None else -(-value // MIB)


def most_of(most: AtMost) -> list[tuple[str, int]]:
    found = ((name, getattr(most, name)) for name in AtMost.__struct_fields__)
    return [(name, value) for name, value in found if value is not None]
