"""What a container would get, as one record, whichever form asked for it.

Read from the config.json that the runtime would be given (runtime-spec config.md and
config-linux.md), after the spec was merged into it, so that no field is judged in one form and
slips through in the other.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from wharfside_agent.core.policy.devices import USUAL, Device, device_of
from wharfside_agent.core.policy.limits import Amounts, amounts_of
from wharfside_agent.core.policy.rules import HOST_NAMESPACES
from wharfside_protocol.specs import ContainerSpec, Io


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


KNOWN: Mapping[str, frozenset[str]] = {
    "config": _words(
        "ociVersion root mounts process hostname domainname hooks annotations linux windows "
        "solaris vm zos freebsd"
    ),
    "process": _words(
        "terminal consoleSize user env args cwd capabilities rlimits noNewPrivileges "
        "apparmorProfile selinuxLabel oomScoreAdj ioPriority scheduler commandLine"
    ),
    "mounts": _words("destination type source options"),
    "linux": _words(
        "namespaces uidMappings gidMappings timeOffsets devices cgroupsPath rootfsPropagation "
        "seccomp maskedPaths readonlyPaths sysctl resources mountLabel personality"
    ),
    "resources": _words("memory cpu pids devices unified blockIO hugepageLimits network rdma"),
}
"""Fields that a rule judges, or that give nothing beyond the container. All others are denied."""

UNIFIED = ("memory.", "cpu.", "cpuset.", "io.", "pids.", "hugetlb.", "misc.", "rdma.")
"""Controllers whose files take from the container, or limit it; not those that shape the tree."""

UNWEIGHED = ("cpu.weight.nice",)
"""Sets cpu.weight in other words (cgroup-v2.rst), which the rule of limits does not read."""

STEERING = ("run.oci.", "org.criu.", "org.systemd.", "io.podman.", "com.github.containers.")
"""Annotations by which crun and runc themselves are steered: filters, sockets, CRIU's scripts."""

_NOTHING: tuple[object, ...] = (None, False, {}, [], "")

_LAX_ACTIONS = ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE", "SCMP_ACT_NOTIFY")


@dataclass(frozen=True, slots=True)
class AskedMount:
    kind: str
    source: str
    target: str
    readonly: bool
    options: tuple[str, ...] = ()

    @property
    def binds(self) -> bool:
        return self.kind == "bind" or "bind" in self.options or "rbind" in self.options


@dataclass(frozen=True, slots=True)
class AskedProcess:
    """`scheduling` names the fields that ask for more than a fair share; `ships`: its log is to go
    into the stream of logs."""

    capabilities: frozenset[str] = frozenset()
    new_privileges: bool = False
    root: bool = False
    rlimits: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    scheduling: tuple[str, ...] = ()
    ships: bool = False
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """`shared`: namespaces that would be the node's; `joined`: by kind and file; `maps_root`: in
    a user namespace of its own some uid, whichever, is the node's root.

    `seccomp` is `none`, `lax` (what it does not name is allowed, or asked of a listener), or
    `strict`. `bundle` is the folder of the caller's own config.json, `root` the real path of a
    root file system that it names elsewhere.
    """

    spec: ContainerSpec
    runtime: str
    process: AskedProcess = AskedProcess()
    mounts: tuple[AskedMount, ...] = ()
    devices: tuple[Device, ...] = ()
    shared: tuple[str, ...] = ()
    joined: tuple[tuple[str, str], ...] = ()
    maps_root: bool = False
    seccomp: str = "strict"
    hooks: tuple[str, ...] = ()
    propagation: str = ""
    sysctls: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    annotations: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    root: str = ""
    limits: Amounts = field(default_factory=Amounts)

    @property
    def bundle(self) -> str | None:
        return self.spec.source.bundle

    @property
    def source(self) -> str:
        return self.spec.source.bundle or self.spec.source.rootfs or ""


def asked_of(spec: ContainerSpec, runtime: str, config: Mapping[str, Any]) -> Asked:
    """`config` was parsed (core.oci_schema), and is what the runtime would be given."""
    linux = config.get("linux") or {}
    resources = linux.get("resources") or {}
    return Asked(
        spec=spec,
        runtime=runtime,
        process=process_of(config.get("process") or {}, spec.io),
        mounts=tuple(_mount(each) for each in config.get("mounts") or ()),
        devices=tuple(_devices(linux.get("devices") or (), resources.get("devices") or ())),
        shared=_shared(linux.get("namespaces") or ()),
        joined=_joined(linux.get("namespaces") or ()),
        # a hostID that is left out is 0
        maps_root=any(not each.get("hostID") for each in linux.get("uidMappings") or ()),
        seccomp=_seccomp(linux.get("seccomp")),
        hooks=tuple(name for name, found in (config.get("hooks") or {}).items() if found),
        propagation=str(linux.get("rootfsPropagation") or ""),
        sysctls=tuple(linux.get("sysctl") or ()),
        labels=_texts(linux.get("mountLabel")),
        annotations=tuple(
            name for name in config.get("annotations") or () if name.startswith(STEERING)
        ),
        unknown=(
            *_unknown("config", config),
            *(name for each in config.get("mounts") or () for name in _unknown("mounts", each)),
            *_unknown("linux", linux),
            *_unknown("resources", resources),
            *(f"unified {name}" for name in _odd_files(resources.get("unified") or ())),
        ),
        limits=amounts_of(resources),
    )


def process_of(process: Mapping[str, Any], io: Io) -> AskedProcess:
    """Of a container's process, or of an exec's."""
    sets = (process.get("capabilities") or {}).values()
    return AskedProcess(
        capabilities=frozenset(name.upper() for name in set().union(*filter(None, sets))),
        new_privileges=process.get("noNewPrivileges") is not True,
        root=(process.get("user") or {}).get("uid", 0) == 0,
        rlimits=tuple(str(each.get("type")) for each in process.get("rlimits") or ()),
        labels=_texts(process.get("apparmorProfile"), process.get("selinuxLabel")),
        scheduling=tuple(_scheduling(process)),
        ships=io.ship,
        unknown=_unknown("process", process),
    )


def _scheduling(process: Mapping[str, Any]) -> list[str]:
    found = [name for name in ("scheduler", "ioPriority") if process.get(name)]
    score = process.get("oomScoreAdj")
    return found + (["oomScoreAdj"] if isinstance(score, int) and score < 0 else [])


def _mount(mount: Mapping[str, Any]) -> AskedMount:
    options = tuple(mount.get("options") or ())
    return _made(mount.get("type") or "", mount.get("source") or "", mount["destination"], options)


@lru_cache(maxsize=256)
def _made(kind: str, source: str, destination: str, options: tuple[str, ...]) -> AskedMount:
    """Every container has the same seven, and these paths take time."""
    target = posixpath.normpath("/" + destination.lstrip("/"))
    return AskedMount(kind, source, target, _readonly(options), options)


def _readonly(options: Sequence[str]) -> bool:
    """`ro` with `rbind` leaves writable what is mounted below; `rrw` opens even the mount itself,
    wherever it stands (mount_setattr(2), as runc applies it)."""
    access = [each for each in options if each in ("ro", "rw")]
    whole = "rro" in options or "rbind" not in options
    return access[-1:] == ["ro"] and whole and "rrw" not in options


def _devices(
    made: Sequence[Mapping[str, Any]], let_in: Sequence[Mapping[str, Any]]
) -> list[Device]:
    """Those beyond the usual. To make a node (`m`) that nobody may open gives nothing."""
    opened = [
        each for each in let_in if each.get("allow") and str(each.get("access") or "rwm") != "m"
    ]
    wanted = [device_of(each) for each in (*made, *opened) if each.get("type") != "p"]
    return [each for each in wanted if not any(each.within(usual) for usual in USUAL)]


def _shared(namespaces: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    own = {each["type"] for each in namespaces}
    return tuple(kind for kind in HOST_NAMESPACES if kind not in own)


def _joined(namespaces: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, str], ...]:
    return tuple((each["type"], each["path"]) for each in namespaces if each.get("path"))


def _seccomp(profile: Mapping[str, Any] | None) -> str:
    if not profile:
        return "none"
    actions = [profile.get("defaultAction")]
    actions += [each.get("action") for each in profile.get("syscalls") or ()]
    lax = actions[0] in _LAX_ACTIONS or "SCMP_ACT_NOTIFY" in actions
    return "lax" if lax or profile.get("listenerPath") else "strict"


def _texts(*values: Any) -> tuple[str, ...]:
    return tuple(str(value) for value in values if value)


def _unknown(part: str, found: Mapping[str, Any]) -> tuple[str, ...]:
    odd = found.keys() - KNOWN[part]
    return tuple(f"{part}.{name}" for name in sorted(odd) if found[name] not in _NOTHING)


def _odd_files(names: Sequence[str]) -> list[str]:
    return [
        name for name in names if not name.startswith(UNIFIED) or "/" in name or name in UNWEIGHED
    ]
