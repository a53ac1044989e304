"""Images of no container: what CRIU and the driver would have written, in small."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from wharfside_agent.core.images import CheckpointManifest, ImageFlags, Lower
from wharfside_agent.images.disk import DiskImages
from wharfside_agent.ports.images import Image
from wharfside_protocol.specs import ContainerSpec, ProcessSpec, Source

INCARNATION = "01JDZZZZZZZZZZZZZZZZZZZZZZ"

FILES = {
    "config.dump": b'{"id":"x"}',
    "spec.dump": b"{}",
    "rootfs-diff.tar": bytes(10_240),
    "checkpoint/inventory.img": b"inventory",
    "checkpoint/pages-1.img": bytes(range(256)) * 1000,
    "dump.log": b"Dumping finished successfully\n",
}


def manifest(
    name: str = "one", incarnation: str = INCARNATION, **others: object
) -> CheckpointManifest:
    facts: dict[str, object] = {
        "name": name,
        "timestamp": "2026-01-31T09:00:00.000000000Z",
        "node": "node-a",
        "container": "web",
        "incarnation": incarnation,
        "run": 1,
        "flags": ImageFlags(),
        "runtime": "runc",
        "runtime_version": "1.1.5",
        "criu_version": "4.1.1",
        "architecture": "x86_64",
        "kernel": "6.18.0",
        "lower": Lower(path="/rootfs", layered=True),
        "spec": ContainerSpec(source=Source(rootfs="/rootfs"), process=ProcessSpec(args=["a"])),
    } | others
    return CheckpointManifest(**facts)  # type: ignore[arg-type]


def fill(folder: Path, files: Mapping[str, bytes] = FILES) -> None:
    for path, data in files.items():
        (folder / path).parent.mkdir(exist_ok=True, parents=True)
        (folder / path).write_bytes(data)


async def make(images: DiskImages, name: str = "one", **others: object) -> Image:
    draft = await images.draft(INCARNATION, name)
    fill(draft.folder)
    return await draft.finish(manifest(name, **others))
