"""An image's folder as it is found on the disk. Blocking: for a thread."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from wharfside_agent.core.images import (
    MANIFEST,
    MANIFEST_DIGEST,
    MAX_MANIFEST_BYTES,
    CheckpointManifest,
    read,
)
from wharfside_agent.ports.images import BrokenImage, Image
from wharfside_protocol.errors import Invalid


def read_image(folder: Path, incarnation: str, name: str) -> Image:
    """By its manifest alone: whose it says it is; its files are not looked at.

    Raises:
        Invalid: it is no image, or another's.
        FileNotFoundError: there is none, or it has no manifest.
    """
    if (folder / MANIFEST).stat().st_size > MAX_MANIFEST_BYTES:
        raise Invalid("the image's manifest is too large")
    told = (folder / MANIFEST_DIGEST).read_bytes()
    manifest = read((folder / MANIFEST).read_bytes(), told)
    if (manifest.incarnation, manifest.name) != (incarnation, name):
        raise Invalid(
            f"the image in this place is another's: {manifest.name} of {manifest.incarnation}"
        )
    return image_of(folder, manifest, told)


def image_of(folder: Path, manifest: CheckpointManifest, told: bytes) -> Image:
    return Image(folder, manifest, told[:64].decode(), manifest.bytes)


def age(image: Image | BrokenImage) -> tuple[str, str]:
    taken = image.manifest.timestamp if isinstance(image, Image) else ""
    return taken, str(image.folder)


def size_on_disk(folder: Path) -> int:
    """On disk, of whatever is there: a draft of somebody else grows meanwhile."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(Path(path) / name).st_size
    return total


def folders_in(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir())
    except OSError:
        return []
