"""What each rule looks at in a container that is asked for; it says what is beyond it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType

from wharfside_agent.core.policy.asked import Asked, AskedMount
from wharfside_agent.core.policy.beyond import below, beyond, named
from wharfside_agent.core.policy.devices import device
from wharfside_agent.core.policy.limit_rules import at_most, required
from wharfside_agent.core.policy.rules import Rules


def _runtimes(asked: Asked, rules: Rules) -> str | None:
    return named("runtime", beyond([asked.runtime], rules.runtimes))


def _bundles(asked: Asked, rules: Rules) -> str | None:
    return "an OCI bundle" if asked.bundle is not None and not rules.bundles else None


def _bundle_roots(asked: Asked, rules: Rules) -> str | None:
    """A bundle's own root too: it may lie beside the bundle."""
    if rules.bundle_roots is None:
        return None
    paths = (asked.source, asked.root or asked.source)
    outside = [path for path in paths if not below(path, rules.bundle_roots)]
    return f"source {outside[0]}" if outside else None


def _mount_roots(asked: Asked, rules: Rules) -> str | None:
    """What lies in the bundle itself comes with it."""
    if rules.mount_roots is None:
        return None
    roots = (*rules.mount_roots, *([asked.bundle] if asked.bundle else ()))
    beyond = [each.source for each in asked.mounts if each.binds and not below(each.source, roots)]
    return named("a mount of", beyond)


def _mounts_writable(asked: Asked, rules: Rules) -> str | None:
    if rules.mounts_writable:
        return None
    return named(
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
    return named("mounts that are odd in type, place or options:", odd)


_REACHING = ("shared", "rshared", "remount", "idmap", "ridmap")
"""Mount options that reach beyond the container, or give its files other owners."""


_KERNELS_OWN = ("/proc", "/sys")


@lru_cache(maxsize=256)
def _plain(mount: AskedMount, types: tuple[str, ...]) -> bool:
    """Of a type that is let in, where that type belongs, and seen by nobody else.

    A second proc or sysfs would have nothing masked, and a writable sysfs or cgroup tree is the
    node's own. Anything else there, an empty tmpfs too, would have the runtime write labels and
    limits into files of the container's making (CVE-2019-16884).
    """
    if any(option.startswith(_REACHING) for option in mount.options):
        return False
    if mount.binds:
        return "bind" in types and not below(mount.target, _KERNELS_OWN)
    if mount.kind not in types:
        return False
    match mount.kind:
        case "proc":
            return mount.target == "/proc"
        case "sysfs":
            return mount.target == "/sys" and mount.readonly
        case "cgroup" | "cgroup2":
            return mount.target == "/sys/fs/cgroup" and mount.readonly
    return not below(mount.target, _KERNELS_OWN)


def _devices(asked: Asked, rules: Rules) -> str | None:
    allowed = [device(pattern) for pattern in rules.devices]
    beyond = [each for each in asked.devices if not any(each.within(one) for one in allowed)]
    return named("devices", [str(each) for each in beyond])


def _host_namespaces(asked: Asked, rules: Rules) -> str | None:
    return named("the node's own", beyond(asked.shared, rules.host_namespaces))


def _namespace_roots(asked: Asked, rules: Rules) -> str | None:
    """A namespace in /proc/<pid>/ns may be the node's own, or another container's."""
    return named(
        "namespaces of", [p for _, p in asked.joined if not below(p, rules.namespace_roots)]
    )


def _root_by_another_number(asked: Asked, rules: Rules) -> str | None:
    """user_namespaces(7): a process of that uid has all that root's files give."""
    return None if rules.root or not asked.maps_root else "a uid that is the node's root"


def _seccomp(asked: Asked, rules: Rules) -> str | None:
    if rules.seccomp == "free" or asked.seccomp == "strict":
        return None
    if asked.seccomp == "lax":
        return "a seccomp profile that allows what it does not name, or asks a listener"
    return "no seccomp profile"


def _hooks(asked: Asked, rules: Rules) -> str | None:
    return None if rules.hooks else named("hooks", asked.hooks)


def _sysctls(asked: Asked, rules: Rules) -> str | None:
    """Those of the network are the node's own where the container shares it."""
    shared = [n for n in asked.sysctls if n.startswith("net.") and "network" in asked.shared]
    return named("sysctls", shared or beyond(asked.sysctls, rules.sysctls))


def _security_labels(asked: Asked, rules: Rules) -> str | None:
    return named("security labels", beyond(asked.labels, rules.security_labels))


def _annotations(asked: Asked, rules: Rules) -> str | None:
    return None if rules.runtime_annotations else named("annotations", asked.annotations)


def _unknown(asked: Asked, rules: Rules) -> str | None:
    return None if rules.unknown_fields else named("fields", asked.unknown)


def _limits_required(asked: Asked, rules: Rules) -> str | None:
    return required(asked.limits, rules)


def _limits_at_most(asked: Asked, rules: Rules) -> str | None:
    return at_most(asked.limits, rules)


def _restart(asked: Asked, rules: Rules) -> str | None:
    policy = asked.spec.restart.policy if asked.spec.restart is not None else "no"
    return named("restart policy", beyond([policy], rules.restart))


def _checkpoints(asked: Asked, rules: Rules) -> str | None:
    return None if rules.checkpoints or not asked.spec.checkpointable else "checkpointable"


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
        "root": _root_by_another_number,
        "seccomp": _seccomp,
        "sysctls": _sysctls,
        "security_labels": _security_labels,
        "runtime_annotations": _annotations,
        "unknown_fields": _unknown,
        "limits_required": _limits_required,
        "limits_at_most": _limits_at_most,
        "restart": _restart,
        "checkpoints": _checkpoints,
    }
)
