"""The rules of a node, as its settings have them: for everybody, for a role, for an actor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec

from wharfside_agent.core.actors import Actor
from wharfside_agent.core.oci_defaults import CAPABILITIES
from wharfside_agent.core.policy.devices import DEVICE
from wharfside_protocol.errors import Invalid
from wharfside_protocol.ops import OPS

ALL, READS = "all", "reads"

READING_OPS = frozenset(op.name for op in OPS.values() if op.viewers) | {"facts", "policy-check"}
"""`reads`: ops that change nothing, open no input and hand out no files."""

HOST_NAMESPACES = ("pid", "ipc", "uts", "mount", "network")
"""Those that a container has of its own, or shares with the node (namespaces(7))."""

MOUNT_TYPES = ("bind", "cgroup", "cgroup2", "devpts", "mqueue", "proc", "sysfs", "tmpfs")

SYSCTLS = (
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_syncookies",
)
"""Kubernetes' safe set: each is of the container's own namespace and costs nobody else."""

RLIMITS = (
    *("RLIMIT_AS", "RLIMIT_CORE", "RLIMIT_CPU", "RLIMIT_DATA", "RLIMIT_FSIZE", "RLIMIT_LOCKS"),
    *("RLIMIT_NOFILE", "RLIMIT_NPROC", "RLIMIT_RSS", "RLIMIT_SIGPENDING", "RLIMIT_STACK"),
)
"""Not MEMLOCK, MSGQUEUE, NICE, RTPRIO and RTTIME: those take from the whole node (getrlimit(2))."""

RestartPolicy = Literal["no", "on-failure", "always", "unless-stopped"]
Folder = Annotated[str, msgspec.Meta(pattern=r"^/[^\x00]*$(?!\n)")]
Capability = Annotated[str, msgspec.Meta(pattern=r"^(CAP_[A-Z_]+|all)$(?!\n)")]
DevicePattern = Annotated[str, msgspec.Meta(pattern=DEVICE)]
Positive = Annotated[int, msgspec.Meta(ge=1)]


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file. A key that is not known is an error: it is a typing mistake."""


class AtMost(_Table, frozen=True, kw_only=True, omit_defaults=True):
    """The most that a container's limits may be; with one of these it must have that limit.

    MiB, processes, hundredths of a CPU, weight as in cgroup v2 (100 where none is given).
    """

    memory_mib: Positive | None = None
    swap_mib: Annotated[int, msgspec.Meta(ge=0)] | None = None
    pids: Positive | None = None
    cpu_percent: Positive | None = None
    cpu_weight: Annotated[int, msgspec.Meta(ge=1, le=10_000)] | None = None


class Rules(_Table, frozen=True, kw_only=True):
    """What one kind of actor may ask for. The defaults are those of a container from a rootfs.

    Attributes:
        ops: names of ops; `all`; `reads`.
        runtimes: of those that the node has.
        bundles: OCI bundles, with a config.json of their own.
        bundle_roots: sources lie below one of these; left out: all of `runtime.bundle_roots`.
        mount_roots: so do sources of bind mounts; left out: all of `runtime.mount_roots`.
        mounts_writable: bind mounts may be writable; else `rbind` needs `rro`, for what lies below.
        mount_types: file systems that a bundle may mount.
        capabilities: that a process may have, in any of its sets; `all`.
        devices: beside the usual ones, as `c 10:229`, `b 8:*`, `a *:*` (for all).
        host_namespaces: namespaces that may be the node's own: pid, ipc, uts, network.
        namespace_roots: other namespaces may be joined by files below these.
        new_privileges: setuid programs may gain some (`no_new_privileges` off).
        seccomp: of a bundle without a profile. `filled`: it gets the node's own; `required`: it is
            denied; `free`: it runs without one.
        unmasked: a bundle may leave the paths of /proc and /sys open that the node would mask.
        hooks: programs that a config.json runs on the node, as root and outside.
        sysctls: by name; a last `*` stands for any rest.
        rlimits: kinds that may be set.
        security_labels: AppArmor profiles and SELinux labels that may be asked for.
        scheduling: real-time scheduling, I/O priority, a negative OOM score.
        runtime_annotations: `run.oci.*`, `org.criu.*` and others that steer the runtime itself.
        unknown_fields: fields of a config.json that no rule here knows.
        root: processes may be uid 0, or another that a user namespace maps to the node's.
        privileged: opens capabilities, devices, host_namespaces, new_privileges, seccomp, unmasked,
            sysctls, rlimits, mount_types, security_labels and scheduling all at once.
        limits_at_most: see AtMost.
        limits_required: limits that a container must have: memory, pids, cpu.
        containers: so many at once may be there that these rules let in.
        restart: policies that may be asked for.
        checkpoints: containers may be made `checkpointable`.
        ship_logs: output may be shipped into the stream of logs.
    """

    ops: tuple[str, ...] = (ALL,)
    runtimes: tuple[str, ...] = ("crun", "runc")
    bundles: bool = True
    bundle_roots: tuple[Folder, ...] | None = None
    mount_roots: tuple[Folder, ...] | None = None
    mounts_writable: bool = True
    mount_types: tuple[str, ...] = MOUNT_TYPES
    capabilities: tuple[Capability, ...] = CAPABILITIES
    devices: tuple[DevicePattern, ...] = ()
    host_namespaces: tuple[Literal["pid", "ipc", "uts", "network"], ...] = ()
    namespace_roots: tuple[Folder, ...] = ("/run/netns", "/var/run/netns")
    new_privileges: bool = False
    seccomp: Literal["filled", "required", "free"] = "filled"
    unmasked: bool = False
    hooks: bool = False
    sysctls: tuple[str, ...] = SYSCTLS
    rlimits: tuple[str, ...] = RLIMITS
    security_labels: tuple[str, ...] = ()
    scheduling: bool = False
    runtime_annotations: bool = False
    unknown_fields: bool = False
    root: bool = True
    privileged: bool = False
    limits_at_most: AtMost = AtMost()
    limits_required: tuple[Literal["memory", "pids", "cpu"], ...] = ()
    containers: Annotated[int, msgspec.Meta(ge=0)] | None = None
    restart: tuple[RestartPolicy, ...] = ("no", "on-failure", "always", "unless-stopped")
    checkpoints: bool = True
    ship_logs: bool = True

    def __post_init__(self) -> None:
        for op in self.ops:
            if op not in (ALL, READS) and op not in OPS:
                raise ValueError(f"ops: there is no op {op!r}")

    def allows(self, op: str) -> bool:
        return ALL in self.ops or op in self.ops or (READS in self.ops and op in READING_OPS)

    def opened(self) -> Rules:
        """`privileged` as the single rules that it stands for."""
        if not self.privileged:
            return self
        return msgspec.structs.replace(
            self,
            capabilities=(ALL,),
            devices=("a *:*",),
            host_namespaces=("pid", "ipc", "uts", "network"),
            new_privileges=True,
            seccomp="free",
            unmasked=True,
            sysctls=("*",),
            rlimits=("*",),
            mount_types=("*",),
            security_labels=("*",),
            scheduling=True,
        )


EVERYBODY = "policy"


DEFAULTS = Rules()


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Rules under the name of their table in the file: by it a later life finds them again."""

    name: str = EVERYBODY
    rules: Rules = DEFAULTS


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """`everybody`: who proves nothing, or has no table. A table holds only what differs there."""

    everybody: Rules = Rules()
    roles: dict[str, Rules] = {}
    actors: dict[str, Rules] = {}

    def of(self, actor: Actor) -> RuleSet:
        """The actor's own rules, else those of the role; both only where they are proven."""
        if actor.proven and actor.name in self.actors:
            return RuleSet(f"policy.actors.{actor.name}", self.actors[actor.name])
        if actor.proven and actor.role is not None and actor.role in self.roles:
            return RuleSet(f"policy.roles.{actor.role}", self.roles[actor.role])
        return RuleSet(EVERYBODY, self.everybody)

    def named(self, name: str) -> RuleSet:
        """Rules that let a container in, for its next run; a table that is gone is everybody's."""
        return self.sets().get(name, RuleSet(EVERYBODY, self.everybody))

    def sets(self) -> dict[str, RuleSet]:
        tables = {EVERYBODY: self.everybody}
        tables |= {f"policy.roles.{name}": rules for name, rules in self.roles.items()}
        tables |= {f"policy.actors.{name}": rules for name, rules in self.actors.items()}
        return {name: RuleSet(name, rules) for name, rules in tables.items()}


def named_by_default(name: str) -> RuleSet:
    """As Policy.named, of a node whose settings have no policy."""
    return RuleSet(name)


def policy_of(table: Mapping[str, Any]) -> Policy:
    """The policy in a `[policy]` table.

    Raises:
        Invalid: it says what cannot be; it names the place.
    """
    base = {key: value for key, value in table.items() if key not in ("roles", "actors")}
    return Policy(
        everybody=_rules(base, "policy"),
        roles=_tables(base, table, "roles"),
        actors=_tables(base, table, "actors"),
    )


def _tables(base: Mapping[str, Any], table: Mapping[str, Any], kind: str) -> dict[str, Rules]:
    found = table.get(kind, {})
    if not isinstance(found, Mapping):
        raise Invalid(f"policy.{kind} must hold a table for each name")
    return {name: _rules_over(base, own, f"policy.{kind}.{name}") for name, own in found.items()}


def _rules_over(base: Mapping[str, Any], own: Any, place: str) -> Rules:
    if not isinstance(own, Mapping):
        raise Invalid(f"{place} must be a table of rules")
    return _rules({**base, **own}, place)


def _rules(raw: Mapping[str, Any], place: str) -> Rules:
    try:
        return msgspec.convert(dict(raw), Rules)
    except msgspec.ValidationError as error:
        raise Invalid(f"{place}: {error}") from error
