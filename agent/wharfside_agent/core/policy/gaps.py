"""What a bundle's config.json leaves out of docker's defaults is filled in, unless a rule says not.

Only what was left out: a profile of the bundle's own, and what it masks beyond ours, stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wharfside_agent.core.oci_defaults import MASKED_PATHS, READONLY_PATHS
from wharfside_agent.core.policy.rules import Rules
from wharfside_agent.core.seccomp import profile_for

_CLOSING = ({"access": "rwm"}, {"access": "rwm", "type": "a"}, {"type": "a"})
"""`allow` is false where it is left out, as is all that stands for every device."""


def filled(linux: Mapping[str, Any], rules: Rules, architecture: str) -> dict[str, Any]:
    """`linux` of a config with seccomp, masked paths and the first device rule where they lack."""
    opened, ours = rules.opened(), dict(linux)
    if fills_seccomp(linux, rules):
        ours["seccomp"] = profile_for(architecture)
    if not opened.unmasked:
        ours["maskedPaths"] = _united(linux.get("maskedPaths"), MASKED_PATHS)
        ours["readonlyPaths"] = _united(linux.get("readonlyPaths"), READONLY_PATHS)
    if "a *:*" not in opened.devices:
        resources = linux.get("resources") or {}
        ours["resources"] = {**resources, "devices": _closed(resources.get("devices") or ())}
    return ours


def fills_seccomp(linux: Mapping[str, Any], rules: Rules) -> bool:
    return not linux.get("seccomp") and rules.opened().seccomp == "filled"


def _united(theirs: Sequence[str] | None, ours: Sequence[str]) -> list[str]:
    return list(dict.fromkeys((*(theirs or ()), *ours)))


def _closed(entries: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Runtimes begin with every device open where no rule closes them all."""
    closing = {"allow": False, "access": "rwm"}
    first = {name: value for name, value in entries[0].items() if value} if entries else {}
    return [*([] if first in _CLOSING else [closing]), *entries]
