"""Checkpoint images on this node's disk."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from wharfside_agent.core.images import CheckpointManifest
from wharfside_agent.ports.process import Root

Progress = Callable[[int, int], None]
"""Bytes done, bytes in all; called in the loop, some ten times a second at most."""


@dataclass(frozen=True, slots=True)
class Image:
    """A whole image under its name. `digest`: of its manifest, and so of all of it."""

    folder: Path
    manifest: CheckpointManifest
    digest: str
    bytes: int


@dataclass(frozen=True, slots=True)
class BrokenImage:
    """A folder in an image's place that is none; `why` for a person.

    `other_format`: of one that is whole as far as anybody here knows, but another version's.
    """

    incarnation: str
    name: str
    folder: Path
    why: str
    other_format: int | None = None


class ImageDraft(Protocol):
    """An image on its way: a folder for whoever writes it, which has no name yet."""

    @property
    def folder(self) -> Path:
        """Private, empty, made by `draft`. The agent's death leaves it to `clear_drafts`."""
        ...

    async def finish(self, manifest: CheckpointManifest, progress: Progress | None = None) -> Image:
        """Digests and syncs every file, writes the manifest (its `files` and `links` are filled
        in here), and only then gives the folder its name. Canceled or refused, it is discarded.

        Raises:
            Invalid: what was written is no image.
            AlreadyExists: the name was taken meanwhile.
            Busy: it is larger than the quota has room for.
        """
        ...

    async def accept(self, progress: Progress | None = None) -> Image:
        """What was finished elsewhere, manifest and all: checked to its last byte, and synced.

        Raises:
            Invalid: it is broken, or none of ours.
            AlreadyExists, Busy: as `finish`.
        """
        ...

    async def discard(self) -> None:
        """Idempotent; nothing happens to one that is finished."""
        ...


class Outgoing(Protocol):
    """A whole image as a stream of bytes (core/image_stream.py), from any place on."""

    @property
    def digest(self) -> str: ...

    @property
    def manifest_bytes(self) -> int: ...

    @property
    def total(self) -> int: ...

    async def read(self, offset: int, most: int) -> bytes:
        """
        Raises:
            Invalid, OSError: the image is gone or has changed.
        """
        ...


class Incoming(Protocol):
    """An image that comes as such a stream; `received` is where it goes on."""

    @property
    def received(self) -> int: ...

    @property
    def total(self) -> int: ...

    async def write(self, offset: int, data: bytes) -> None:
        """Every file is checked against its digest as its last byte comes.

        Raises:
            Invalid: it is not the image that was offered, or `offset` is not `received`.
            Busy: no room.
        """
        ...

    async def finish(self) -> Image:
        """It gets its name. Not synced: whoever sent it has it until it is needed no more.

        Raises:
            Invalid: it is not whole.
            AlreadyExists: an image has the name.
        """
        ...

    async def discard(self) -> None:
        """Removes what came; idempotent."""
        ...

    def close(self) -> None:
        """Lets go; what came stays for `Images.incoming` of the same key."""
        ...


class Images(Protocol):
    """`<state_dir>/checkpoints/<incarnation>/<name>/`; all file work is done in threads."""

    async def draft(self, incarnation: str, name: str, expected_bytes: int = 0) -> ImageDraft:
        """
        Raises:
            AlreadyExists: the incarnation has an image of that name.
            Busy: the quota, or the disk, has no room for it.
        """
        ...

    async def open(self, incarnation: str, name: str, progress: Progress | None = None) -> Image:
        """Checked to its last byte: what is returned may be started from.

        Raises:
            NotFound: there is none.
            Invalid: it is broken, cut off or another's; it names the file.
        """
        ...

    async def listed(self, incarnation: str | None = None) -> Sequence[Image | BrokenImage]:
        """All, or an incarnation's, oldest first. Manifests are checked, digests are not."""
        ...

    async def delete(self, incarnation: str, name: str) -> bool:
        """False: there was none. A broken one goes, too."""
        ...

    async def unlabeled(self, expected_bytes: int = 0) -> ImageDraft:
        """One whose manifest says whose it is; for `accept`.

        Raises:
            Busy: as `draft`.
        """
        ...

    def root_of(self, folder: Path) -> Root:
        """For archives in and out of an image's or a draft's folder."""
        ...

    async def outgoing(self, incarnation: str, name: str) -> Outgoing:
        """Raises NotFound, Invalid: there is no image to be sent. Digests are not checked."""
        ...

    async def incoming(self, key: str, digest: str, manifest_bytes: int, total: int) -> Incoming:
        """What came of `key` before, also in a former life, is taken up.

        Raises:
            Invalid: no image is like that.
            Busy: the quota, or the disk, has no room for it.
        """
        ...

    def adopt(self, incarnation: str, name: str, folder: Path) -> ImageDraft:
        """The draft that a former life has begun in `folder`, to be finished or discarded."""
        ...

    async def clear_drafts(self, but: Collection[Path] = (), keep: Collection[str] = ()) -> int:
        """Removes what former lives left half done; at start, before the first `draft`.

        `but`: drafts that are finished or discarded one by one; `keep`: keys of images that
        still come in.
        """
        ...

    @property
    def max_bytes(self) -> int:
        """The quota."""
        ...


class Layers(Protocol):
    """Writable layers of containers, out of and into an image's folder."""

    async def save(
        self, upper: Path, lower: Path, folder: Path, progress: Progress | None = None
    ) -> str:
        """Writes rootfs-diff.tar and deleted.files; what was left out, a line each.

        `upper` is the overlay's, of a container that is frozen or over: a file that changes
        meanwhile is carried as it was at one of the moments.

        Raises:
            Unsupported, Busy, Denied: it cannot be carried whole; nothing is left in `folder`.
        """
        ...

    async def load(self, folder: Path, upper: Path, progress: Progress | None = None) -> None:
        """Into an empty `upper` that nothing is mounted over yet.

        Raises:
            Invalid, Denied, Busy: it is not what a container wrote, or there is no room.
        """
        ...

    async def replace(self, layer: Path, folder: Path, progress: Progress | None = None) -> None:
        """`layer`'s upper folder is that of the image in `folder`, at once or not at all.

        Raises:
            as `load`: it is as it was.
        """
        ...

    async def identity(self, rootfs: Path) -> str | None:
        """A digest of names, kinds, owners, modes and sizes; None: too many files to look at.

        Raises:
            OSError: it cannot be read.
        """
        ...
