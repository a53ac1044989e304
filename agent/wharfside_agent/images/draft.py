"""An image on its way to become one: written or brought here, checked, synced, then named."""

from __future__ import annotations

import asyncio
import shutil
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
from wharfside_agent.images.files import digest, listing, sync_folders, syncing, verify
from wharfside_agent.images.keeper import Keeper
from wharfside_agent.ports.images import Image, Progress
from wharfside_protocol.errors import Invalid


class Draft:
    """ports.images.ImageDraft."""

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
        try:
            if (manifest.incarnation, manifest.name) != (self._incarnation, self._name):
                raise Invalid(f"this draft is of {self._incarnation}/{self._name}")
            image = await self._images.run(partial(self._write, manifest), progress)
        except BaseException:
            await asyncio.shield(self.discard())
            raise
        self._finished = True
        return image

    async def accept(self, progress: Progress | None = None) -> Image:
        try:
            image = await self._images.run(self._check, progress)
        except BaseException:
            await asyncio.shield(self.discard())
            raise
        self._finished = True
        return image

    def _check(self, work: Work) -> Image:
        """What was written elsewhere, with its manifest: checked as one that is opened, synced."""
        try:
            told = (self._folder / MANIFEST_DIGEST).read_bytes()
            if (self._folder / MANIFEST).stat().st_size > MAX_MANIFEST_BYTES:
                raise Invalid("the image's manifest is too large")
            manifest = read((self._folder / MANIFEST).read_bytes(), told)
        except FileNotFoundError as error:
            raise Invalid("this is no checkpoint of ours: it has no manifest") from error
        found = listing(self._folder)
        same_files(manifest, found.sizes, found.links)
        self._images.check_room(found.bytes, self._folder)
        work.total = manifest.bytes
        verify(self._folder, manifest.files, work, sync=True)
        sync_folders(self._folder)
        self._incarnation, self._name = manifest.incarnation, manifest.name
        work.add(0)
        image = self._images.place(self._folder, manifest, told)
        self._placed = True
        return image

    async def discard(self) -> None:
        if self._finished:
            return
        if self._placed:  # canceled in the very moment
            await self._images.delete(self._incarnation, self._name)
        await self._images.run(lambda _: shutil.rmtree(self._folder, ignore_errors=True))

    def _write(self, manifest: CheckpointManifest, work: Work) -> Image:
        for ours in (MANIFEST, MANIFEST_DIGEST):
            (self._folder / ours).unlink(missing_ok=True)
        found = listing(self._folder)
        work.total = found.bytes
        self._images.check_room(found.bytes, self._folder)
        with syncing(self._folder / path for path in found.sizes):
            files = {path: digest(self._folder / path, work) for path in sorted(found.sizes)}
        manifest = msgspec.structs.replace(manifest, files=files, links=found.links)
        data, told = written(manifest)
        read(data, told)
        (self._folder / MANIFEST).write_bytes(data)
        (self._folder / MANIFEST_DIGEST).write_bytes(told)
        with syncing(self._folder / path for path in (MANIFEST, MANIFEST_DIGEST)):
            sync_folders(self._folder)
        work.add(0)
        image = self._images.place(self._folder, manifest, told)
        self._placed = True
        return image
