"""The config.json of a run (runtime-spec config.md): from a rootfs, or from the caller's own."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wharfside_agent.core import oci_defaults as defaults
from wharfside_agent.core.resources import UNIFIED_FILES, CgroupVersion, to_resources
from wharfside_agent.core.seccomp import profile_for
from wharfside_protocol.errors import Invalid
from wharfside_protocol.io_commands import TerminalSize
from wharfside_protocol.specs import ContainerSpec, Io, Limits, Mount, Network, ProcessSpec, User

Config = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Machine:
    """What a config depends on and no spec tells; read once at start.

    `architecture` as `uname -m` has it, `nofile_hard` the agent's own hard RLIMIT_NOFILE:
    without CAP_SYS_RESOURCE nothing may be raised above it.
    """

    cgroups: CgroupVersion
    architecture: str
    nofile_hard: int


@dataclass(frozen=True, slots=True)
class RunFacts:
    """Where one run has its parts. `bundle` is the caller's, where there is one."""

    machine: Machine
    container: str
    rootfs: str
    cgroup_path: str
    bundle: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)


def from_rootfs(spec: ContainerSpec, facts: RunFacts) -> Config:
    """The config of the convenience form, with the defaults of docker and containerd.

    Raises:
        Invalid: the spec has no process, or limits that cannot be.
    """
    if spec.process is None:
        raise Invalid("a container from a rootfs needs a process with args", field="process")
    hostname = spec.hostname or facts.container
    limits, machine = spec.limits or Limits(), facts.machine
    return {
        "ociVersion": defaults.OCI_VERSION,
        "process": _with_terminal(_new_process(spec.process, hostname, machine), spec.io),
        "root": {"path": facts.rootfs, "readonly": spec.source.readonly},
        "hostname": hostname,
        "mounts": _plain(defaults.MOUNTS) + [_bind(mount) for mount in spec.mounts],
        "annotations": dict(facts.annotations),
        "linux": {
            "cgroupsPath": facts.cgroup_path,
            "namespaces": _namespaces(spec.network or Network(), machine),
            "resources": {
                "devices": _plain(defaults.DEVICE_RULES),
                **to_resources(limits, machine.cgroups),
            },
            "seccomp": profile_for(machine.architecture),
            "maskedPaths": list(defaults.MASKED_PATHS),
            "readonlyPaths": list(defaults.READONLY_PATHS),
        },
    }


def from_bundle(config: Mapping[str, Any], spec: ContainerSpec, facts: RunFacts) -> Config:
    """The caller's config with what differs here; what the spec leaves out stays theirs.

    Their hooks, mounts and namespaces are kept: the node's policy judges what comes out. The two
    configs share parts: change neither.

    Raises:
        Invalid: neither the bundle nor the spec has a process, or limits cannot be.
    """
    ours = dict(config)
    readonly = spec.source.readonly or ours["root"].get("readonly", False)
    ours["root"] = {**ours["root"], "path": facts.rootfs, "readonly": readonly}
    ours["process"] = _bundle_process(ours.get("process"), spec, facts)
    theirs = [_anchored(mount, facts.bundle) for mount in ours.get("mounts") or []]
    ours["mounts"] = theirs + [_bind(mount) for mount in spec.mounts]
    ours["annotations"] = {**(ours.get("annotations") or {}), **facts.annotations}
    if spec.hostname is not None:
        ours["hostname"] = spec.hostname
    ours["linux"] = _merged_linux(ours["linux"], spec, facts)
    return ours


def exec_process(
    init: Mapping[str, Any], spec: ProcessSpec, io: Io, size: TerminalSize | None = None
) -> Config:
    """The OCI process of an exec: init's, but for what `spec` gives, and its terminal."""
    return _with_terminal(_merged_process(init, spec), io, size)


def _with_terminal(process: Config, io: Io, size: TerminalSize | None = None) -> Config:
    """Programs want a TERM with a terminal; xterm, as docker, where nobody gave one."""
    ours = {**process, "terminal": io.tty}
    ours.pop("consoleSize", None)
    if io.tty:
        ours["env"] = _merged_env(["TERM=xterm"], process.get("env") or [])
    if io.tty and size is not None:
        ours["consoleSize"] = {"height": size.rows, "width": size.columns}
    return ours


def _new_process(spec: ProcessSpec, hostname: str, machine: Machine) -> Config:
    hard = min(defaults.NOFILE_HARD, machine.nofile_hard)
    return {
        "user": _user(spec.user or User()),
        "args": list(spec.args),
        "env": _merged_env([defaults.PATH, f"HOSTNAME={hostname}"], spec.env),
        "cwd": spec.cwd or "/",
        "capabilities": {
            kind: list(defaults.CAPABILITIES) for kind in ("bounding", "effective", "permitted")
        },
        "rlimits": [
            {"type": "RLIMIT_NOFILE", "soft": min(defaults.NOFILE_SOFT, hard), "hard": hard}
        ],
        "noNewPrivileges": spec.no_new_privileges is not False,
    }


def _bundle_process(theirs: Config | None, spec: ContainerSpec, facts: RunFacts) -> Config:
    if theirs is None and spec.process is None:
        raise Invalid("neither config.json nor the spec has a process", field="process")
    if theirs is None and spec.process is not None:
        ours = _new_process(spec.process, spec.hostname or facts.container, facts.machine)
    else:
        ours = _merged_process(theirs or {}, spec.process)
    return _with_terminal(ours, spec.io)


def _merged_process(theirs: Mapping[str, Any], spec: ProcessSpec | None) -> Config:
    merged = dict(theirs)
    if spec is None:
        return merged
    merged["args"] = list(spec.args)
    merged["env"] = _merged_env(theirs.get("env") or [], spec.env)
    if spec.cwd is not None:
        merged["cwd"] = spec.cwd
    if spec.user is not None:
        merged["user"] = {**_user(spec.user), **_umask(theirs)}
    if spec.no_new_privileges is not None:
        merged["noNewPrivileges"] = spec.no_new_privileges
    return merged


def _umask(process: Mapping[str, Any]) -> Config:
    """The umask is the program's, not the user's: it stays with another user."""
    user = process.get("user") or {}
    return {"umask": user["umask"]} if "umask" in user else {}


def _user(user: User) -> Config:
    plain: Config = {"uid": user.uid, "gid": user.gid}
    if user.additional_gids:
        plain["additionalGids"] = list(user.additional_gids)
    return plain


def _merged_env(before: Iterable[str], after: Iterable[str]) -> list[str]:
    """The last of a name wins and keeps the first one's place."""
    merged = {entry.partition("=")[0]: entry for entry in before}
    merged.update((entry.partition("=")[0], entry) for entry in after)
    return list(merged.values())


def _bind(mount: Mount) -> Config:
    """rro: also what is mounted below a read-only source is read-only (Linux >= 5.12)."""
    access = ("ro", "rro") if mount.readonly else ("rw",)
    options = ["rbind", "rprivate", "nosuid", "nodev", *access]
    return {
        "destination": mount.target,
        "type": "bind",
        "source": mount.source,
        "options": options,
    }


def binds(mount: Config) -> bool:
    """mount(8): the type alone says it, or an option."""
    options = mount.get("options") or []
    return mount.get("type") == "bind" or "bind" in options or "rbind" in options


def _anchored(mount: Config, bundle: str) -> Config:
    """A relative source of a bind is relative to the caller's bundle, not to our copy."""
    source = mount.get("source") or ""
    if not binds(mount) or not source or source.startswith("/"):
        return mount
    return {**mount, "source": posixpath.join(bundle, source)}


def _namespaces(network: Network, machine: Machine) -> list[Config]:
    """In v1 no cgroup namespace: the runtimes bind the container's own cgroup there."""
    fresh = [*defaults.NAMESPACES, *(["cgroup"] if machine.cgroups == "v2" else [])]
    return [{"type": kind} for kind in fresh] + _network(network)


def _network(network: Network) -> list[Config]:
    if network.mode == "host":
        return []
    own: Config = {"type": "network"}
    return [{**own, "path": network.path} if network.mode == "path" else own]


def _merged_linux(theirs: Config, spec: ContainerSpec, facts: RunFacts) -> Config:
    linux = {**theirs, "cgroupsPath": facts.cgroup_path}
    if spec.network is not None:
        kept = [each for each in linux.get("namespaces") or [] if each["type"] != "network"]
        linux["namespaces"] = kept + _network(spec.network)
    if spec.limits is not None:
        resources = to_resources(spec.limits, facts.machine.cgroups)
        linux["resources"] = _merged_resources(linux.get("resources") or {}, resources, spec.limits)
    return linux


def _merged_resources(theirs: Config, ours: Config, limits: Limits) -> Config:
    merged = dict(theirs)
    unified = dict(theirs.get("unified") or {})
    for limit, files in UNIFIED_FILES.items():
        if getattr(limits, limit) is not None:
            unified = {name: value for name, value in unified.items() if name not in files}
    merged["unified"] = {**unified, **ours.get("unified", {})}
    for part in ("memory", "cpu", "pids"):
        if part in ours:
            merged[part] = {**_yielding(part, theirs.get(part) or {}), **ours[part]}
    return {name: value for name, value in merged.items() if value or name != "unified"}


def _yielding(part: str, theirs: Config) -> Config:
    """Their sum of memory and swap, and their soft limit, were meant for another limit."""
    if part != "memory":
        return theirs
    return {name: value for name, value in theirs.items() if name not in ("swap", "reservation")}


def _plain(records: Sequence[Mapping[str, Any]]) -> list[Config]:
    return [
        {name: list(value) if isinstance(value, tuple) else value for name, value in each.items()}
        for each in records
    ]
