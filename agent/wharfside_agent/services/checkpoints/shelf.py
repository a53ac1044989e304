"""The checkpoints that are there: found, held while they are used, listed and deleted."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from wharfside_agent.ports.images import Image, Images, Progress
from wharfside_agent.services.checkpoints.manifests import view_of
from wharfside_protocol.checkpoints import CheckpointsValue
from wharfside_protocol.errors import Busy

PAGE = 500


class Shelf:
    def __init__(self, images: Images) -> None:
        self._images = images
        self._held: Counter[tuple[str, str]] = Counter()

    @asynccontextmanager
    async def held(
        self, incarnation: str, name: str, progress: Progress | None = None
    ) -> AsyncIterator[Image]:
        """Verified to its last byte, and not deleted meanwhile.

        Raises:
            NotFound, Invalid: there is none, or it is broken.
        """
        release = self.hold(incarnation, name)
        try:
            yield await self._images.open(incarnation, name, progress)
        finally:
            release()

    def hold(self, incarnation: str, name: str) -> Callable[[], None]:
        """Nobody deletes it until what is returned is called; to call it twice is once."""
        key = incarnation, name
        held = [key]
        self._held[key] += 1

        def release() -> None:
            while held:
                self._held[held.pop()] -= 1
                if not self._held[key]:
                    del self._held[key]

        return release

    async def listed(self, incarnation: str | None, after: int) -> CheckpointsValue:
        """A page, oldest first; the figures are of all."""
        everything = await self._images.listed()
        wanted = [
            view_of(image)
            for image in everything
            if incarnation is None or view_of(image).incarnation == incarnation
        ]
        page = wanted[after : after + PAGE]
        more = len(wanted) > after + len(page)
        return CheckpointsValue(
            checkpoints=page,
            bytes=sum(view_of(image).bytes for image in everything),
            max_bytes=self._images.max_bytes,
            next=after + len(page) if more else None,
        )

    async def delete(self, incarnation: str, name: str) -> bool:
        """False: there was none.

        Raises:
            Busy: it is being restored, or saved.
        """
        if (incarnation, name) in self._held:
            raise Busy(f"checkpoint {name} is in use: try again when that is done")
        return await self._images.delete(incarnation, name)
