"""A checkpoint image as one stream of bytes, the same on both sides: what lies where; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wharfside_agent.core.images import MANIFEST, MANIFEST_DIGEST, CheckpointManifest, written
from wharfside_protocol.errors import Invalid

DIGEST_BYTES = 64 + len(f"  {MANIFEST}\n")


@dataclass(frozen=True, slots=True)
class Part:
    """One file's place in the stream. `sha256` None: of the two that are read at once."""

    path: str
    start: int
    size: int
    sha256: str | None = None

    @property
    def end(self) -> int:
        return self.start + self.size


def head(manifest_bytes: int) -> list[Part]:
    """What comes first, and says what follows."""
    return [
        Part(MANIFEST, 0, manifest_bytes),
        Part(MANIFEST_DIGEST, manifest_bytes, DIGEST_BYTES),
    ]


def layout(manifest: CheckpointManifest) -> list[Part]:
    """The whole stream: the head, then every file in the order of the names."""
    parts = head(len(written(manifest)[0]))
    at = parts[-1].end
    for path in sorted(manifest.files):
        file = manifest.files[path]
        parts.append(Part(path, at, file.bytes, file.sha256))
        at += file.bytes
    return parts


def total(parts: Sequence[Part]) -> int:
    return parts[-1].end


def check_total(parts: Sequence[Part], promised: int) -> None:
    """Raises Invalid: the stream is not as long as it was said."""
    if total(parts) != promised:
        raise Invalid(f"the image's manifest tells of {total(parts)} bytes, not of {promised}")
