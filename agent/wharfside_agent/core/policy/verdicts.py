"""The table of rules that what is asked is held against; the first that is not met denies."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from wharfside_agent.core.policy.asked import Asked, AskedMount, AskedProcess
from wharfside_agent.core.policy.devices import device
from wharfside_agent.core.policy.limits import Amounts
from wharfside_agent.core.policy.rules import ALL, AtMost, Rules, RuleSet
from wharfside_protocol.errors import Denied

MIB = 1024 * 1024

_STRICT = "a profile that denies what it does not name"
_SECCOMP = {"required": _STRICT, "filled": f"{_STRICT}, or none, for the node's own"}


@dataclass(frozen=True, slots=True)
class Denial:
    """`rule` is its key in the file, `says` what was asked for, `allowed` what would do."""

    rule: str
    says: str
    allowed: str

    def error(self, rules: RuleSet) -> Denied:
        """With the whole key of the rule, as it stands in the node's settings."""
        key = f"{rules.name}.{self.rule}"
        message = f"{key} denies {self.says}; it allows {self.allowed}"
        return Denied(message, rule=key, allowed=self.allowed)


def judge(asked: Asked, rules: Rules) -> Denial | None:
    """Of a whole container; what the node's file system says (roots, links) is not asked here."""
    opened = rules.opened()
    for rule, look in CONTAINER.items():
        if (says := look(asked, opened)) is not None:
            return Denial(rule, says, shown(getattr(opened, rule)))
    return judge_process(asked.process, opened)


def judge_process(process: AskedProcess, rules: Rules) -> Denial | None:
    """Of a container's process, or of an exec's."""
    opened = rules.opened()
    for rule, look in PROCESS.items():
        if (says := look(process, opened)) is not None:
            return Denial(rule, says, shown(getattr(opened, rule)))
    return None


def judge_limits(limits: Amounts, rules: Rules) -> Denial | None:
    """Of a container's limits as they would be."""
    for rule, look in (("limits_required", _required), ("limits_at_most", _at_most)):
        if (says := look(limits, rules)) is not None:
            return Denial(rule, says, shown(getattr(rules, rule)))
    return None


def judge_op(op: str, rules: Rules) -> Denial | None:
    return None if rules.allows(op) else Denial("ops", f"op {op}", shown(rules.ops))


def judge_count(count: int, rules: Rules) -> Denial | None:
    """`count` containers are there that these rules let in, and one more is asked for."""
    if rules.containers is None or count < rules.containers:
        return None
    return Denial("containers", f"{count} containers are there", f"{rules.containers} at once")


def shown(value: object) -> str:
    """What a rule allows, in words."""
    if isinstance(value, bool):
        return "it" if value else "none"
    if isinstance(value, AtMost):
        return ", ".join(f"{name} {most}" for name, most in most_of(value)) or "any"
    if isinstance(value, tuple):
        return ", ".join(value) if value else "none"
    if value is None:
        return "any"
    return _SECCOMP.get(str(value), str(value))


def most_of(most: AtMost) -> list[tuple[str, int]]:
    found = ((name, getattr(most, name)) for name in AtMost.__struct_fields__)
    return [(name, value) for name, value in found if value is not None]


def _beyond(wanted: Iterable[str], allowed: Collection[str]) -> list[str]:
    """`all` and `*` allow everything, a last `*` any rest."""
    missing = set(wanted).difference(allowed)
    if not missing or ALL in allowed:
        return []
    stems = tuple(each[:-1] for each in allowed if each.endswith("*"))
    return sorted(each for each in missing if not each.startswith(stems))


def _below(path: str, roots: Collection[str]) -> bool:
    plain = posixpath.normpath(path)
    return any(
        plain == posixpath.normpath(root) or plain.startswith(posixpath.normpath(root) + "/")
        for root in roots
    )


def _named(what: str, found: Collection[str]) -> str | None:
    return f"{what} {', '.join(sorted(found)[:8])}" if found else None


def _runtimes(asked: Asked, rules: Rules) -> str | None:
    return _named("runtime", _beyond([asked.runtime], rules.runtimes))


def _bundles(asked: Asked, rules: Rules) -> str | None:
    return "an OCI bundle" if asked.bundle is not None and not rules.bundles else None


def _bundle_roots(asked: Asked, rules: Rules) -> str | None:
    within = rules.bundle_roots is None or _below(asked.source, rules.bundle_roots)
    return None if within else f"source {asked.source}"


def _mount_roots(asked: Asked, rules: Rules) -> str | None:
    """What lies in the bundle itself comes with it."""
    if rules.mount_roots is None:
        return None
    roots = (*rules.mount_roots, *([asked.bundle] if asked.bundle else ()))
    beyond = [each.source for each in asked.mounts if each.binds and not _below(each.source, roots)]
    return _named("a mount of", beyond)


def _mounts_writable(asked: Asked, rules: Rules) -> str | None:
    if rules.mounts_writable:
        return None
    return _named(
        "writable mounts on", [m.target for m in asked.mounts if m.binds and not m.readonly]
    )


def _mount_types(asked: Asked, rules: Rules) -> str | None:
    if "*" in rules.mount_types:
        return None
    if asked.propagation in ("shared", "rshared"):
        return f"rootfsPropagation {asked.propagation}"
    odd = [
        f"{m.kind or 'none'} on {m.target}"
        for m in asked.mounts
        if not _plain(m, rules.mount_types)
    ]
    return _named("mounts that are odd in type, place or options:", odd)


_REACHING = ("shared", "rshared", "remount", "idmap", "ridmap")
"""Mount options that reach beyond the container, or give its files other owners."""


@lru_cache(maxsize=256)
def _plain(mount: AskedMount, types: tuple[str, ...]) -> bool:
    """Of a type that is let in, where that type belongs, and seen by nobody else.

    A second proc or sysfs would have nothing masked, and a writable sysfs or cgroup tree is the
    node's own.
    """
    if any(option.startswith(_REACHING) for option in mount.options):
        return False
    if mount.binds:
        return "bind" in types and not _below(mount.target, ("/proc", "/sys"))
    if mount.kind not in types:
        return False
    match mount.kind:
        case "proc":
            return mount.target == "/proc"
        case "sysfs":
            return mount.target == "/sys" and mount.readonly
        case "cgroup" | "cgroup2":
            return mount.target == "/sys/fs/cgroup" and mount.readonly
    return True


def _devices(asked: Asked, rules: Rules) -> str | None:
    allowed = [device(pattern) for pattern in rules.devices]
    beyond = [each for each in asked.devices if not any(each.within(one) for one in allowed)]
    return _named("devices", [str(each) for each in beyond])


def _host_namespaces(asked: Asked, rules: Rules) -> str | None:
    return _named("the node's own", _beyond(asked.shared, rules.host_namespaces))


def _namespace_roots(asked: Asked, rules: Rules) -> str | None:
    """A namespace in /proc/<pid>/ns may be the node's own, or another container's."""
    return _named(
        "namespaces of", [p for _, p in asked.joined if not _below(p, rules.namespace_roots)]
    )


def _seccomp(asked: Asked, rules: Rules) -> str | None:
    if rules.seccomp == "free" or asked.seccomp == "strict":
        return None
    if asked.seccomp == "lax":
        return "a seccomp profile that allows what it does not name, or asks a listener"
    return "no seccomp profile"


def _hooks(asked: Asked, rules: Rules) -> str | None:
    return None if rules.hooks else _named("hooks", asked.hooks)


def _sysctls(asked: Asked, rules: Rules) -> str | None:
    """Those of the network are the node's own where the container shares it."""
    shared = [n for n in asked.sysctls if n.startswith("net.") and "network" in asked.shared]
    return _named("sysctls", shared or _beyond(asked.sysctls, rules.sysctls))


def _security_labels(asked: Asked, rules: Rules) -> str | None:
    return _named("security labels", _beyond(asked.labels, rules.security_labels))


def _annotations(asked: Asked, rules: Rules) -> str | None:
    return None if rules.runtime_annotations else _named("annotations", asked.annotations)


def _unknown(asked: Asked, rules: Rules) -> str | None:
    return None if rules.unknown_fields else _named("fields", asked.unknown)


def _limits_required(asked: Asked, rules: Rules) -> str | None:
    return _required(asked.limits, rules)


def _limits_at_most(asked: Asked, rules: Rules) -> str | None:
    return _at_most(asked.limits, rules)


def _required(limits: Amounts, rules: Rules) -> str | None:
    found = {"memory": limits.memory_bytes, "pids": limits.pids, "cpu": limits.cpu_percent}
    missing = [name for name in rules.limits_required if found[name] is None]
    return f"no limit of {', '.join(missing)}" if missing else None


def _at_most(limits: Amounts, rules: Rules) -> str | None:
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


def _restart(asked: Asked, rules: Rules) -> str | None:
    policy = asked.spec.restart.policy if asked.spec.restart is not None else "no"
    return _named("restart policy", _beyond([policy], rules.restart))


def _checkpoints(asked: Asked, rules: Rules) -> str | None:
    return None if rules.checkpoints or not asked.spec.checkpointable else "checkpointable"


def _ship_logs(asked: Asked, rules: Rules) -> str | None:
    return None if rules.ship_logs or not asked.spec.io.ship else "io.ship"


def _capabilities(process: AskedProcess, rules: Rules) -> str | None:
    return _named("capabilities", _beyond(process.capabilities, rules.capabilities))


def _new_privileges(process: AskedProcess, rules: Rules) -> str | None:
    if rules.new_privileges or not process.new_privileges:
        return None
    return "a process without no_new_privileges"


def _root(process: AskedProcess, rules: Rules) -> str | None:
    return "a process of uid 0" if process.root and not rules.root else None


def _rlimits(process: AskedProcess, rules: Rules) -> str | None:
    return _named("rlimits", _beyond(process.rlimits, rules.rlimits))


def _process_labels(process: AskedProcess, rules: Rules) -> str | None:
    return _named("security labels", _beyond(process.labels, rules.security_labels))


def _scheduling(process: AskedProcess, rules: Rules) -> str | None:
    return None if rules.scheduling else _named("process fields", process.scheduling)


def _process_unknown(process: AskedProcess, rules: Rules) -> str | None:
    return None if rules.unknown_fields else _named("fields", process.unknown)


CONTAINER: Mapping[str, Callable[[Asked, Rules], str | None]] = MappingProxyType(
    {
        "runtimes": _runtimes,
        "bundles": _bundles,
        "bundle_roots": _bundle_roots,
        "hooks": _hooks,
        "mount_types": _mount_types,
        "mount_roots": _mount_roots,
        "mounts_writable": _mounts_writable,
        "devices": _devices,
        "host_namespaces": _host_namespaces,
        "namespace_roots": _namespace_roots,
        "seccomp": _seccomp,
        "sysctls": _sysctls,
        "security_labels": _security_labels,
        "runtime_annotations": _annotations,
        "unknown_fields": _unknown,
        "limits_required": _limits_required,
        "limits_at_most": _limits_at_most,
        "restart": _restart,
        "checkpoints": _checkpoints,
        "ship_logs": _ship_logs,
    }
)

PROCESS: Mapping[str, Callable[[AskedProcess, Rules], str | None]] = MappingProxyType(
    {
        "capabilities": _capabilities,
        "new_privileges": _new_privileges,
        "root": _root,
        "rlimits": _rlimits,
        "security_labels": _process_labels,
        "scheduling": _scheduling,
        "unknown_fields": _process_unknown,
    }
)
