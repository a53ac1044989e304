"""ports.credentials.FolderBell by inotify(7): files are replaced by rename, so their folders ring.

A link into another folder is followed, and Kubernetes' way of replacing a volume's files (a
link `..data` that is renamed) is known.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from asyncinotify import Event, Mask

from wharfside_agent.watchers.inotify import LoopInotify

REPLACED = Mask.CLOSE_WRITE | Mask.MOVED_TO | Mask.CREATE | Mask.DELETE
VOLUME_LINK = "..data"

SETTLE_S = 0.2
"""Several files are replaced one after the other: they are one change."""


class InotifyFolders:
    """Opened when it first listens, on its loop; what changes between two waits ends the next."""

    def __init__(self) -> None:
        self._inotify = LoopInotify(self._heard)
        self._names: set[str] = set()
        self._rung = asyncio.Event()

    def listen(self, paths: Sequence[Path]) -> None:
        real = [path.resolve() for path in paths]
        self._names = {path.name for path in (*paths, *real)} | {VOLUME_LINK}
        with suppress(OSError):  # out of inotify's: then there is the timeout alone
            for folder in {path.parent for path in (*paths, *real)}:
                self._inotify.open().add_watch(folder, REPLACED)

    async def changed(self, timeout_s: float) -> bool:
        try:
            async with asyncio.timeout(timeout_s):
                await self._rung.wait()
        except TimeoutError:
            return False
        await asyncio.sleep(SETTLE_S)
        self._rung.clear()
        return True

    def close(self) -> None:
        self._inotify.close()

    def _heard(self, event: Event) -> None:
        if str(event.name) in self._names:
            self._rung.set()
