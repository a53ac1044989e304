"""What a checkpoint image says of itself, and what makes it acceptable; pure.

The folder is Podman's export, unpacked (config.dump, spec.dump, checkpoint/, rootfs-diff.tar,
deleted.files, dump.log), with two files of ours: the manifest, which names every other file
with its digest, and the manifest's own digest as sha256sum writes it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any, Final, Literal

import msgspec

from wharfside_protocol.checkpoints import CheckpointFlags as ImageFlags
from wharfside_protocol.errors import Invalid
from wharfside_protocol.records import Counter, Incarnation, Name, Record, Timestamp
from wharfside_protocol.specs import ContainerSpec

MANIFEST, MANIFEST_DIGEST = "manifest.json", "manifest.sha256"
OURS = frozenset({MANIFEST, MANIFEST_DIGEST})

CRIU, CONFIG_DUMP, SPEC_DUMP = "checkpoint", "config.dump", "spec.dump"
ROOTFS_DIFF, DELETED_FILES, DUMP_LOG = "rootfs-diff.tar", "deleted.files", "dump.log"
NEEDED = (CONFIG_DUMP, SPEC_DUMP, f"{CRIU}/inventory.img")

FORMAT: Final = 2
"""Of the manifest; 1 had the digests of large files taken of the whole file.

Whatever a later one changes, `format` stays where it is, and the digest beside it: by them an agent
tells another version's image, which is whole, from a broken one.
"""

MAX_FILES = 65_536
"""CRIU writes some ten files a process."""

MAX_MANIFEST_BYTES = 16 * 1024 * 1024

_PART = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,254}"
_PATH = re.compile(rf"{_PART}(/{_PART}){{0,2}}")
_PARENT = re.compile(rf"\.\./{_PART}")
"""CRIU's link from a dump's folder to the pre-dump that it goes on from, beside it."""

Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]


class ImageFile(Record, frozen=True, kw_only=True):
    """`sha256` of a large one is of its parts' (image_digest.py)."""

    bytes: Counter
    sha256: Sha256


class Lower(Record, frozen=True, kw_only=True):
    """What the container's files stood on, and must be there where it is restored.

    `layered`: an overlay's lower layer, whose changes are in rootfs-diff.tar; else the files
    were used as they are. `identity`: a digest of what is looked at there, where one was made.
    """

    path: str
    layered: bool
    identity: str | None = None


class CheckpointManifest(Record, frozen=True, kw_only=True):
    """`files` has every file of the image but ours, `links` CRIU's links to pre-dumps."""

    format: Literal[2] = FORMAT
    name: Name
    timestamp: Timestamp
    node: Name
    container: Name
    incarnation: Incarnation
    run: Counter
    flags: ImageFlags
    parent: Name | None = None
    runtime: str
    runtime_version: str
    criu_version: str
    architecture: str
    kernel: str
    cpu_features: list[str] = []
    lower: Lower
    spec: ContainerSpec
    files: dict[str, ImageFile] = {}
    links: dict[str, str] = {}

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files.values())


class _Formatted(msgspec.Struct):
    """What the manifest of any version says."""

    format: Counter


class OtherFormat(Invalid):
    """Another version's image, as it was written: what wrote it can restore it."""

    def __init__(self, found: int) -> None:
        super().__init__(
            f"the image's manifest has format {found}, this agent reads format {FORMAT}: "
            "restore it by an agent of the version that wrote it, or make the checkpoint anew",
            format=found,
            reads=FORMAT,
        )
        self.format = found


def written(manifest: CheckpointManifest) -> tuple[bytes, bytes]:
    """The contents of the manifest's file, and of its digest's."""
    data = msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"
    return data, f"{hashlib.sha256(data).hexdigest()}  {MANIFEST}\n".encode()


def read(data: bytes, digest: bytes) -> CheckpointManifest:
    """
    Raises:
        OtherFormat: it is another version's manifest.
        Invalid: it is broken, or says what no image of ours would.
    """
    if f"{hashlib.sha256(data).hexdigest()}  {MANIFEST}\n".encode() != digest:
        raise Invalid("the image's manifest is not what was written: its digest differs")
    try:
        manifest = msgspec.json.decode(data, type=CheckpointManifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        _check_format(data)
        raise Invalid(f"the image's manifest cannot be read: {error}") from error
    check_names(manifest.files, manifest.links)
    if missing := [name for name in NEEDED if name not in manifest.files]:
        raise Invalid(f"the image has no {missing[0]}: it is none of a container")
    return manifest


def _check_format(data: bytes) -> None:
    """
    Raises:
        OtherFormat: it is another version's manifest.
    """
    with suppress(msgspec.MsgspecError, UnicodeDecodeError):
        found = msgspec.json.decode(data, type=_Formatted).format
        if found != FORMAT:
            raise OtherFormat(found)


def check_names(files: Mapping[str, Any], links: Mapping[str, str]) -> None:
    """
    Raises:
        Invalid: a name that could lead elsewhere, or more of them than a container has.
    """
    if len(files) + len(links) > MAX_FILES:
        raise Invalid(f"the image has {len(files)} files; at most {MAX_FILES}")
    for path in (*files, *links):
        if not _PATH.fullmatch(path) or path in OURS:
            raise Invalid(f"an image has no file {path[:256]!r}")
    for path, target in links.items():
        folder, _, name = path.rpartition("/")
        if name != "parent" or not folder or "/" in folder or not _PARENT.fullmatch(target):
            raise Invalid(f"an image has no link {path} -> {target[:256]!r}")


def same_files(
    manifest: CheckpointManifest, sizes: Mapping[str, int], links: Mapping[str, str]
) -> None:
    """What is there against what the manifest names; digests come after.

    Raises:
        Invalid: one is missing, too many, or of another size; it names it.
    """
    for path, file in manifest.files.items():
        if path not in sizes:
            raise Invalid(f"the image is broken: {path} is missing", file=path)
        if sizes[path] != file.bytes:
            raise Invalid(
                f"the image is broken: {path} has {sizes[path]} bytes, not {file.bytes}", file=path
            )
    for path in (sizes.keys() - manifest.files.keys()) - OURS:
        raise Invalid(f"the image is broken: {path} is not in its manifest", file=path)
    if dict(links) != manifest.links:
        raise Invalid("the image is broken: its links are not those of its manifest")
