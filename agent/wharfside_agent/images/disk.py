"""ports.images over one folder. What is half done bears a name that no image has."""

from __future__ import annotations

import os
import secrets
import shutil
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from wharfside_agent.blocking import Work, in_thread
from wharfside_agent.core.images import CheckpointManifest, OtherFormat, same_files
from wharfside_agent.errors import DiskFull
from wharfside_agent.images.draft import Draft
from wharfside_agent.images.files import FolderRoot, listing, remove, sync, verify
from wharfside_agent.images.found import age, folders_in, image_of, read_image, size_on_disk
from wharfside_agent.images.stream import IncomingImage, OutgoingImage
from wharfside_agent.ports.images import BrokenImage, Image, Progress
from wharfside_protocol.errors import AlreadyExists, Busy, Invalid, NotFound
from wharfside_protocol.subjects import check_command_id, check_name

MAX_BYTES = 20 * 1024**3
"""The default quota of all images of a node."""

KEPT_FREE = 256 * 1024**2
"""Bytes that an image leaves on the disk: a full one would be every container's trouble."""

_PARTIAL = ".partial-"
"""Images' names begin with a letter or a digit."""

_INCOMING = "incoming"
"""In the place of an incarnation: what comes from other nodes."""

T = TypeVar("T")


class DiskImages:
    """ports.images.Images below `top`. `max_bytes`: the quota; `kept_free`: left on the disk."""

    def __init__(self, top: Path, max_bytes: int = MAX_BYTES, kept_free: int = KEPT_FREE) -> None:
        self._top = top
        self._max_bytes = max_bytes
        self._kept_free = kept_free
        self._pool = ThreadPoolExecutor(2, "images")
        # an incarnation's folder goes with its last image, while another one may be begun
        self._naming = threading.Lock()

    @property
    def max_bytes(self) -> int:
        return self._max_bytes

    @max_bytes.setter
    def max_bytes(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes

    async def draft(self, incarnation: str, name: str, expected_bytes: int = 0) -> Draft:
        check_name(name, "name")
        return await self.run(lambda _: self._draft(incarnation, name, expected_bytes))

    async def unlabeled(self, expected_bytes: int = 0) -> Draft:
        return await self.run(lambda _: self._draft(_INCOMING, "loaded", expected_bytes))

    def root_of(self, folder: Path) -> FolderRoot:
        return FolderRoot(folder)

    async def open(self, incarnation: str, name: str, progress: Progress | None = None) -> Image:
        check_name(name, "name")
        return await self.run(lambda work: self._open(incarnation, name, work), progress)

    async def listed(self, incarnation: str | None = None) -> Sequence[Image | BrokenImage]:
        return await self.run(lambda _: self._list(incarnation))

    async def delete(self, incarnation: str, name: str) -> bool:
        check_name(name, "name")
        return await self.run(lambda _: self._delete(incarnation, name))

    async def outgoing(self, incarnation: str, name: str) -> OutgoingImage:
        check_name(name, "name")
        image = await self.run(lambda _: self._named(incarnation, name))
        return OutgoingImage(self, image)

    async def incoming(
        self, key: str, digest: str, manifest_bytes: int, total: int
    ) -> IncomingImage:
        folder = self._top / _INCOMING / f"{_PARTIAL}{check_command_id(key)}"
        self._top.mkdir(mode=0o700, parents=True, exist_ok=True)
        await self.run(lambda _: self.check_room(total, folder))
        made = IncomingImage(self, folder, digest, manifest_bytes, total)
        await made.resume()
        return made

    def adopt(self, incarnation: str, name: str, folder: Path) -> Draft:
        return Draft(self, incarnation, name, folder)

    async def clear_drafts(self, but: Collection[Path] = (), keep: Collection[str] = ()) -> int:
        kept = {f"{_PARTIAL}{key}" for key in keep}
        return await self.run(lambda _: self._clear(but, kept))

    async def run(self, work: Callable[[Work], T], progress: Progress | None = None) -> T:
        """`work` in a thread of the images' own."""
        return await in_thread(self._pool, work, progress)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def check_room(self, size: int, inside: Path | None = None) -> None:
        """Raises Busy: `size` bytes more are too much; what of them is `inside` already is not
        counted twice."""
        used = sum(size_on_disk(image) for image in self._all_folders() if image != inside)
        if used + size > self._max_bytes:
            raise Busy(
                f"the checkpoints of this node would take {used + size} bytes; its quota is "
                f"{self._max_bytes}: delete or prune some (`wharfside checkpoint prune`), then "
                "send this again",
                quota=self._max_bytes,
                used=used,
            )
        to_come = size - (0 if inside is None else size_on_disk(inside))
        if shutil.disk_usage(self._top).free - max(0, to_come) < self._kept_free:
            raise DiskFull()

    def place(self, folder: Path, manifest: CheckpointManifest, told: bytes) -> Image:
        """The name, last of all: from here on the image is there, also after a power cut."""
        goal = self._folder(manifest.incarnation, manifest.name)
        try:
            with self._naming:
                goal.parent.mkdir(mode=0o700, exist_ok=True)
                os.rename(folder, goal)  # noqa: PTH104 - never replaces a folder with anything in it
        except OSError as error:
            if not goal.exists():
                raise
            raise _taken(manifest.incarnation, manifest.name) from error
        sync(goal.parent)
        return image_of(goal, manifest, told)

    def _draft(self, incarnation: str, name: str, expected: int) -> Draft:
        goal = self._folder(incarnation, name)
        if goal.exists():
            raise _taken(incarnation, name)
        self._top.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.check_room(expected)
        folder = self._aside(goal)
        with self._naming:
            goal.parent.mkdir(mode=0o700, exist_ok=True)
            folder.mkdir(mode=0o700)
        sync(self._top)
        return Draft(self, incarnation, name, folder)

    def _open(self, incarnation: str, name: str, work: Work) -> Image:
        folder = self._folder(incarnation, name)
        try:
            image = read_image(folder, incarnation, name)
            found = listing(folder)
            same_files(image.manifest, found.sizes, found.links)
            work.total = image.bytes
            verify(folder, image.manifest.files, work)
        except FileNotFoundError as error:
            if not folder.exists():
                raise NotFound(f"there is no checkpoint {name} of {incarnation} here") from error
            missing = Path(str(error.filename)).name
            raise Invalid(f"the image is broken: {missing} is missing", file=missing) from error
        return image

    def _list(self, incarnation: str | None) -> list[Image | BrokenImage]:
        found: list[Image | BrokenImage] = []
        for folder in self._images(incarnation):
            owner, name = folder.parent.name.upper(), folder.name
            try:
                image = read_image(folder, owner, name)
                sizes = listing(folder)
                same_files(image.manifest, sizes.sizes, sizes.links)
                found.append(image)
            except OtherFormat as error:
                found.append(BrokenImage(owner, name, folder, str(error), error.format))
            except (Invalid, OSError) as error:
                found.append(BrokenImage(owner, name, folder, str(error)))
        return sorted(found, key=age)

    def _delete(self, incarnation: str, name: str) -> bool:
        folder = self._folder(incarnation, name)
        gone = remove(folder, lambda: self._aside(folder))
        with self._naming, suppress(OSError):
            folder.parent.rmdir()  # where it was the last one
        return gone

    def _named(self, incarnation: str, name: str) -> Image:
        try:
            return read_image(self._folder(incarnation, name), incarnation, name)
        except FileNotFoundError as error:
            raise NotFound(f"there is no checkpoint {name} of {incarnation} here") from error

    def _clear(self, but: Collection[Path], kept: set[str]) -> int:
        drafts = [
            each
            for each in self._all_folders()
            if each.name.startswith(_PARTIAL) and each not in but and each.name not in kept
        ]
        for folder in drafts:
            shutil.rmtree(folder)
            with suppress(OSError):
                folder.parent.rmdir()
        return len(drafts)

    def _folder(self, incarnation: str, name: str) -> Path:
        return self._top / incarnation.lower() / name

    def _aside(self, folder: Path) -> Path:
        return folder.parent / f"{_PARTIAL}{secrets.token_hex(8)}"

    def _images(self, incarnation: str | None) -> list[Path]:
        wanted = None if incarnation is None else incarnation.lower()
        return [
            folder
            for folder in self._all_folders()
            if not folder.name.startswith(".") and wanted in (None, folder.parent.name)
        ]

    def _all_folders(self) -> Iterator[Path]:
        for owner in folders_in(self._top):
            yield from folders_in(owner)


def _taken(incarnation: str, name: str) -> AlreadyExists:
    return AlreadyExists(
        f"there is a checkpoint {name} of {incarnation} already: choose another name, or delete it",
        name=name,
    )
