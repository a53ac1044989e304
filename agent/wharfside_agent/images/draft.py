"""An image on its way to become one: written or brought here, checked, synced, then named."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from wharfside_agent.blocking import Work
from wharfside_agent.core.images import (
    MANIFEST,
    MANIFEST_DIGEST,
    MAX_MANIFEST_BYTES,
    CheckpointManifest,
    read,
    same_files,
    written,
)
from wharfside_agent.images.files import digest, folders, listing, syncing, verify
from wharfside_agent.images.keeper import Keeper
from wharfside_agent.ports.images import Image, Progress
from wharfside_protocol.errors import Invalid


class Draft:
    """Made by the keeper, which has made `folder` under a name that no image has."""

    def __init__(self, images: Keeper, incarnation: str, name: str, folder: Path) -> None:
        self._images = images
        self._incarnation = incarnation
        self._name = name
        self._folder = folder
        self._placed = self._finished = False

    @property
    def folder(self) -> Path:
        return self._folder

    async def finish(self, manifest: CheckpointManifest, progress: Progress | None = None) -> Image:
        return await self._whole(partial(self._write, manifest), progress)

    async def accept(self, progress: Progress | None = None) -> Image:
        return await self._whole(self._check, progress)

    async def discard(self) -> None:
        if self._finished:
            return
        if self._placed:  # canceled in the very moment
            await self._images.delete(self._incarnation, self._name)
        await self._images.run(lambda _: shutil.rmtree(self._folder, ignore_errors=True))

    async def _whole(self, work: Callable[[Work], Image], progress: Progress | None) -> Image:
        try:
            image = await self._images.run(work, progress)
        except BaseException:
            await asyncio.shield(self.discard())
            raise
        self._finished = True
        return image

    def _write(self, manifest: CheckpointManifest, work: Work) -> Image:
        """The manifest is written beside the syncs of what it tells of, and all are waited for
        together: each is a commit of the file system's journal."""
        if (manifest.incarnation, manifest.name) != (self._incarnation, self._name):
            raise Invalid(f"this draft is of {self._incarnation}/{self._name}")
        for ours in (MANIFEST, MANIFEST_DIGEST):
            (self._folder / ours).unlink(missing_ok=True)
        found = listing(self._folder)
        work.total = found.bytes
        self._images.check_room(found.bytes, self._folder)
        with syncing(self._folder / path for path in found.sizes) as sync:
            files = {path: digest(self._folder / path, work) for path in sorted(found.sizes)}
            manifest = msgspec.structs.replace(manifest, files=files, links=found.links)
            told = self._write_manifest(manifest)
            sync([self._folder / MANIFEST, self._folder / MANIFEST_DIGEST])
            sync(folders(self._folder))
        return self._place(manifest, told, work)

    def _write_manifest(self, manifest: CheckpointManifest) -> bytes:
        data, told = written(manifest)
        read(data, told)
        (self._folder / MANIFEST).write_bytes(data)
        (self._folder / MANIFEST_DIGEST).write_bytes(told)
        return told

    def _check(self, work: Work) -> Image:
        """What was written elsewhere, with its manifest: checked as one that is opened, synced."""
        manifest, told = self._read_manifest()
        found = listing(self._folder)
        same_files(manifest, found.sizes, found.links)
        self._images.check_room(found.bytes, self._folder)
        work.total = manifest.bytes
        with syncing(self._folder / path for path in found.sizes) as sync:
            sync(folders(self._folder))
            verify(self._folder, manifest.files, work)
        self._incarnation, self._name = manifest.incarnation, manifest.name
        return self._place(manifest, told, work)

    def _read_manifest(self) -> tuple[CheckpointManifest, bytes]:
        try:
            told = (self._folder / MANIFEST_DIGEST).read_bytes()
            if (self._folder / MANIFEST).stat().st_size > MAX_MANIFEST_BYTES:
                raise Invalid("the image's manifest is too large")
            return read((self._folder / MANIFEST).read_bytes(), told), told
        except FileNotFoundError as error:
            raise Invalid("this is no checkpoint of ours: it has no manifest") from error

    def _place(self, manifest: CheckpointManifest, told: bytes, work: Work) -> Image:
        work.add(0)  # nothing gets a name that nobody wants any more
        image = self._images.place(self._folder, manifest, told)
        self._placed = True
        return image
