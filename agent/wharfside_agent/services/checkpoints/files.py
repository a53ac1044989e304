"""Checkpoints out of the node as archives, and into it: through sessions."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable

from wharfside_agent.ports.archive import Archive, Archives
from wharfside_agent.ports.images import Image, ImageDraft, Images
from wharfside_agent.ports.io import Missing, Over, Piece, Source
from wharfside_agent.ports.runtime import Runtime
from wharfside_agent.services.checkpoints.manifests import view_of
from wharfside_agent.services.checkpoints.shelf import Shelf
from wharfside_agent.services.tasks import Tasks
from wharfside_protocol.codec import encode
from wharfside_protocol.io_frames import Chunk, StreamName

Judge = Callable[[Image], Awaitable[None]]
"""Raises Denied, Invalid: the node does not take such an image."""


class Accepting:
    """ports.io.Source of an archive that arrives: its last word is what was accepted."""

    def __init__(self, inner: Source, draft: ImageDraft, judge: Judge, tasks: Tasks) -> None:
        self._inner = inner
        self._draft = draft
        self._judge = judge
        self._tasks = tasks
        self._accepted = False

    async def read(self, most: int) -> Piece | Missing | Over | None:
        if self._accepted:
            return None
        piece = await self._inner.read(most)
        if piece is not None:
            return piece
        image = await self._draft.accept()
        self._accepted = True
        await self._judge(image)
        told = encode(view_of(image))
        return Piece([Chunk(stream=StreamName.STDOUT, data=told)])

    def close(self) -> None:
        self._inner.close()
        if not self._accepted:
            self._tasks.start(self._draft.discard(), "discard of a checkpoint")


class Leaving:
    """ports.io.Source of an archive that leaves: what it is made of stays there meanwhile, since
    nothing in a tar tells that a file is missing."""

    def __init__(self, inner: Source, release: Callable[[], None]) -> None:
        self._inner = inner
        self._release = release

    async def read(self, most: int) -> Piece | Missing | Over | None:
        return await self._inner.read(most)

    def close(self) -> None:
        self._inner.close()
        self._release()


class CheckpointFiles:
    def __init__(
        self, images: Images, shelf: Shelf, archives: Archives, runtime: Runtime, tasks: Tasks
    ) -> None:
        self._images = images
        self._shelf = shelf
        self._runtime = runtime
        self._archives = archives
        self._tasks = tasks

    async def save(self, incarnation: str, name: str) -> tuple[Image, Archive]:
        """Checked to its last byte before the first one leaves.

        Raises:
            NotFound, Invalid: there is none, or it is broken.
        """
        release = self._shelf.hold(incarnation, name)
        try:
            image = await self._images.open(incarnation, name)
            root = self._images.root_of(image.folder)
            archive = await self._archives.leave(root, "/.")
        except BaseException:
            release()
            raise
        return image, dataclasses.replace(archive, source=Leaving(archive.source, release))

    async def load(self, expected_bytes: int, rules: str) -> Archive:
        """What the named rules would not let go on here is not kept.

        Raises:
            Busy: no room.
        """
        draft = await self._images.unlabeled(expected_bytes)
        try:
            archive = await self._archives.arrive(self._images.root_of(draft.folder), "/")
        except BaseException:
            await asyncio.shield(draft.discard())
            raise

        async def judge(image: Image) -> None:
            manifest = image.manifest
            try:
                await self._runtime.check_image(image.folder, manifest.spec, rules)
            except BaseException:
                await asyncio.shield(self._images.delete(manifest.incarnation, manifest.name))
                raise

        source = Accepting(archive.source, draft, judge, self._tasks)
        return dataclasses.replace(archive, source=source)
