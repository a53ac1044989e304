"""A minimal OCI bundle around a root file system (runtime-spec 1.0.2, config.md)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_CAPABILITIES = ("CAP_CHOWN", "CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_SETGID", "CAP_SETUID")
_MOUNTS = (
    ("/proc", "proc", "proc", ()),
    ("/dev", "tmpfs", "tmpfs", ("nosuid", "strictatime", "mode=755", "size=65536k")),
    ("/dev/pts", "devpts", "devpts", ("nosuid", "noexec", "newinstance", "ptmxmode=0666")),
    ("/sys", "sysfs", "sysfs", ("nosuid", "noexec", "nodev", "ro")),
)


def write_bundle(
    directory: Path,
    rootfs: Path,
    args: Sequence[str],
    *,
    cgroup: str,
    env: Mapping[str, str] | None = None,
    memory_bytes: int | None = None,
    pids: int | None = None,
    terminal: bool = False,
) -> Path:
    """Write `directory`/config.json for `args` run in `rootfs`, and return `directory`.

    `cgroup` is the absolute cgroupsPath: take it below the leak gate's own (`gate.cgroup`).
    """
    directory.mkdir(parents=True, exist_ok=True)
    config = {
        "ociVersion": "1.0.2",
        "hostname": "test",
        "root": {"path": str(rootfs.absolute()), "readonly": False},
        "process": _process(args, env or {}, terminal),
        "mounts": [
            {"destination": at, "type": kind, "source": source, "options": list(options)}
            for at, kind, source, options in _MOUNTS
        ],
        "linux": {
            "cgroupsPath": cgroup,
            "resources": _resources(memory_bytes, pids),
            "namespaces": [{"type": kind} for kind in ("pid", "mount", "ipc", "uts", "network")],
        },
    }
    (directory / "config.json").write_text(json.dumps(config, indent=2))
    return directory


def _process(args: Sequence[str], env: Mapping[str, str], terminal: bool) -> dict[str, Any]:
    environment = {"PATH": "/bin:/usr/bin", **env}
    kinds = ("bounding", "effective", "permitted")
    return {
        "terminal": terminal,
        "user": {"uid": 0, "gid": 0},
        "args": list(args),
        "env": [f"{name}={value}" for name, value in environment.items()],
        "cwd": "/",
        "capabilities": {kind: list(_CAPABILITIES) for kind in kinds},
        "noNewPrivileges": True,
    }


def _resources(memory_bytes: int | None, pids: int | None) -> dict[str, Any]:
    resources: dict[str, Any] = {"devices": [{"allow": False, "access": "rwm"}]}
    if memory_bytes is not None:
        resources["memory"] = {"limit": memory_bytes}
    if pids is not None:
        resources["pids"] = {"limit": pids}
    return resources
