"""What a draft and a stream need of all images of the node (disk.py)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from wharfside_agent.blocking import Work
from wharfside_agent.core.images import CheckpointManifest
from wharfside_agent.ports.images import Image, Progress

T = TypeVar("T")


class Keeper(Protocol):
    async def run(self, work: Callable[[Work], T], progress: Progress | None = None) -> T:
        """`work` in a thread of the images' own."""

    def check_room(self, size: int, inside: Path | None = None) -> None:
        """
        Raises:
            Busy: so many bytes more are too much; `inside` is not counted twice.
        """

    def place(self, folder: Path, manifest: CheckpointManifest, told: bytes) -> Image:
        """Gives the folder its name: from here on the image is there."""

    async def delete(self, incarnation: str, name: str) -> bool:
        """Whether it was there."""
