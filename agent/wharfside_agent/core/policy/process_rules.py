"""What each rule looks at in a process, a container's own or an exec's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from wharfside_agent.core.policy.asked import AskedProcess
from wharfside_agent.core.policy.beyond import beyond, named
from wharfside_agent.core.policy.rules import Rules


def _capabilities(process: AskedProcess, rules: Rules) -> str | None:
    return named("capabilities", beyond(process.capabilities, rules.capabilities))


def _new_privileges(process: AskedProcess, rules: Rules) -> str | None:
    if rules.new_privileges or not process.new_privileges:
        return None
    return "a process without no_new_privileges"


def _root(process: AskedProcess, rules: Rules) -> str | None:
    return "a process of uid 0" if process.root and not rules.root else None


def _rlimits(process: AskedProcess, rules: Rules) -> str | None:
    return named("rlimits", beyond(process.rlimits, rules.rlimits))


def _process_labels(process: AskedProcess, rules: Rules) -> str | None:
    return named("security labels", beyond(process.labels, rules.security_labels))


def _scheduling(process: AskedProcess, rules: Rules) -> str | None:
    return None if rules.scheduling else named("process fields", process.scheduling)


def _process_unknown(process: AskedProcess, rules: Rules) -> str | None:
    return None if rules.unknown_fields else named("fields", process.unknown)


def _ship_logs(process: AskedProcess, rules: Rules) -> str | None:
    return None if rules.ship_logs or not process.ships else "io.ship"


PROCESS: Mapping[str, Callable[[AskedProcess, Rules], str | None]] = MappingProxyType(
    {
        "capabilities": _capabilities,
        "new_privileges": _new_privileges,
        "root": _root,
        "rlimits": _rlimits,
        "security_labels": _process_labels,
        "scheduling": _scheduling,
        "ship_logs": _ship_logs,
        "unknown_fields": _process_unknown,
    }
)
