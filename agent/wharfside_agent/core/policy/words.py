"""A policy in words, for those who write one: what everybody may, and what differs for whom."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from wharfside_agent.core.capacity import Capacity
from wharfside_agent.core.policy.rules import DEFAULTS, Policy, Rules
from wharfside_agent.core.policy.verdicts import shown

_SAYS = {
    "ops": "may ask for ops",
    "runtimes": "runtimes",
    "bundles": "OCI bundles with a config.json of their own",
    "bundle_roots": "sources below",
    "mount_roots": "bind mounts of what is below",
    "mounts_writable": "writable bind mounts",
    "mount_types": "file systems that a bundle may mount",
    "capabilities": "capabilities",
    "devices": "devices beyond the usual",
    "host_namespaces": "namespaces of the node itself",
    "namespace_roots": "namespaces joined by files below",
    "new_privileges": "processes without no_new_privileges",
    "seccomp": "a bundle without a seccomp profile",
    "unmasked": "unmasked paths of /proc and /sys",
    "hooks": "hooks, which run on the node as root",
    "sysctls": "sysctls",
    "rlimits": "rlimits that may be set",
    "security_labels": "AppArmor and SELinux labels",
    "scheduling": "real-time scheduling, I/O priority, negative OOM scores",
    "runtime_annotations": "annotations that steer the runtime",
    "unknown_fields": "fields of a config.json that no rule knows",
    "root": "processes of uid 0",
    "privileged": "privileged containers",
    "limits_at_most": "limits at most",
    "limits_required": "limits that each must have",
    "containers": "containers at once",
    "restart": "restart policies",
    "checkpoints": "checkpointable containers",
    "ship_logs": "output shipped into the stream of logs",
}
"""Every rule has its words."""


def policy_in_words(policy: Policy) -> list[str]:
    """Lines: all rules of everybody; of roles and actors those that differ."""
    lines = ["everybody (who proves nothing, or has no table here):", *_lines(policy.everybody)]
    for name, found in policy.sets().items():
        if found.rules is not policy.everybody:
            differs = list(_lines(found.rules, policy.everybody))
            lines += [f"{name}, as everybody but for:", *(differs or ["  nothing"])]
    return lines


def of_nobody(policy: Policy, actors: Collection[str], roles: Collection[str | None]) -> list[str]:
    """Lines: tables for those whom no trusted key proves, often by a mistyped name."""
    idle = [f"policy.roles.{name}" for name in policy.roles if name not in roles]
    idle += [f"policy.actors.{name}" for name in policy.actors if name not in actors]
    return [f"{table} holds for nobody: no key of trust.keys proves it" for table in idle]


def capacity_in_words(capacity: Capacity) -> list[str]:
    enforced = ", ".join(capacity.enforce) or "nothing"
    kept, spare = capacity.reserve, capacity.unlimited
    most = "any number of" if capacity.containers is None else f"at most {capacity.containers}"
    return [
        f"no more is promised than there is of: {enforced}; {most} containers",
        f"kept for the host: {kept.memory_mib} MiB, {kept.cpu_percent / 100:g} CPUs, "
        f"{kept.pids} processes",
        f"a container without limits counts as {spare.memory_mib} MiB, "
        f"{spare.cpu_percent / 100:g} CPUs, {spare.pids} processes",
    ]


def _lines(rules: Rules, but: Rules | None = None) -> Iterator[str]:
    for name in Rules.__struct_fields__:
        value = getattr(rules, name)
        if but is None or value != getattr(but, name):
            changed = "" if but is not None or value == getattr(DEFAULTS, name) else "  (changed)"
            yield f"  {_SAYS[name]}: {_value(name, value)}{changed}"


def _value(name: str, value: object) -> str:
    if name == "seccomp":
        return {"filled": "gets the node's own", "required": "denied", "free": "runs without"}[
            str(value)
        ]
    if name in ("bundle_roots", "mount_roots") and value is None:
        return f"all of runtime.{name}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return shown(value)
