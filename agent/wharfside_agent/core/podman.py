"""The config.dump of Podman's export: the part of its container record that its readers look at.

checkpointctl reads id, name, images, runtime and times; Podman's restore makes its own container
of the same fields (libpod/container_config.go).
"""

from __future__ import annotations

from typing import Any

from wharfside_protocol.specs import ContainerSpec


def container_config(
    id_: str, name: str, spec: ContainerSpec, runtime: str, created_at: str
) -> dict[str, Any]:
    """`id_` is the runtime's, `created_at` RFC 3339."""
    return {
        "id": id_,
        "name": name,
        "rootfs": spec.source.rootfs or spec.source.bundle or "",
        "rootfsImageName": spec.source.rootfs or spec.source.bundle or "",
        "createdTime": created_at,
        "ociRuntime": runtime,
        "labels": dict(spec.labels),
        "terminal": spec.io.tty,
        "stdin": spec.io.stdin,
    }
