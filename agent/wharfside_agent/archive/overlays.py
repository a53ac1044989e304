"""ports.images.Layers: writable layers out of and into image folders, in threads."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from pathlib import Path

from wharfside_agent.archive import layers
from wharfside_agent.archive.layers import KEPT_FREE
from wharfside_agent.archive.notes import Notes
from wharfside_agent.archive.openat import closing
from wharfside_agent.archive.tree import Found, walk
from wharfside_agent.blocking import Work, in_thread
from wharfside_agent.core.images import DELETED_FILES, ROOTFS_DIFF
from wharfside_agent.ports.images import Progress
from wharfside_protocol.errors import RuntimeFailed

MAX_LOOKED_AT = 50_000
"""Files of a rootfs that its identity is made of (some 0.5 s); a larger one has none."""

_libc = ctypes.CDLL(None, use_errno=True)

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class OverlayLayers:
    """`kept_free`: bytes that loading leaves on the file system."""

    def __init__(self, kept_free: int = KEPT_FREE) -> None:
        self._kept_free = kept_free
        self._pool = ThreadPoolExecutor(2, "layers")

    async def save(
        self, upper: Path, lower: Path, folder: Path, progress: Progress | None = None
    ) -> str:
        def work(shared: Work) -> str:
            with closing(os.open(upper, _FOLDER)) as top, closing(os.open(lower, _FOLDER)) as below:
                notes = layers.save(
                    top, below, folder / ROOTFS_DIFF, folder / DELETED_FILES, shared.add
                )
            return notes.text().decode(errors="replace")

        return await self._removing(folder, work, progress)

    async def load(self, folder: Path, upper: Path, progress: Progress | None = None) -> None:
        def work(shared: Work) -> None:
            shared.total = (folder / ROOTFS_DIFF).stat().st_size
            with closing(os.open(upper, _FOLDER)) as top:
                layers.load(
                    folder / ROOTFS_DIFF, folder / DELETED_FILES, top, shared.add, self._kept_free
                )

        await in_thread(self._pool, work, progress)

    async def replace(self, layer: Path, folder: Path, progress: Progress | None = None) -> None:
        fresh = layer / "restoring"

        def make(_: Work) -> None:
            shutil.rmtree(fresh, ignore_errors=True)
            layer.mkdir(0o700, parents=True, exist_ok=True)
            fresh.mkdir(0o700)

        await in_thread(self._pool, make)
        try:
            await self.load(folder, fresh, progress)
            await in_thread(self._pool, lambda _: _put_in_place(fresh, layer / "upper"))
        finally:
            await in_thread(self._pool, lambda _: shutil.rmtree(fresh, ignore_errors=True))

    async def identity(self, rootfs: Path) -> str | None:
        def work(_: Work) -> str | None:
            with closing(os.open(rootfs, _FOLDER)) as top:
                return _identity(top)

        return await in_thread(self._pool, work)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _removing(
        self, folder: Path, work: Callable[[Work], str], progress: Progress | None
    ) -> str:
        try:
            return await in_thread(self._pool, work, progress)
        except BaseException:
            for name in (ROOTFS_DIFF, DELETED_FILES):
                with suppress(OSError):
                    (folder / name).unlink()
            raise


def _identity(top: int) -> str | None:
    """Names, kinds, owners, sizes and links; no times, which a copy of a rootfs need not keep."""
    notes = Notes()
    lines = [_line(found) for found in islice(walk(top, notes), MAX_LOOKED_AT + 1)]
    if len(lines) > MAX_LOOKED_AT:
        return None
    return hashlib.sha256(b"\n".join(sorted(lines))).hexdigest()


def _line(found: Found) -> bytes:
    seen = found.stat
    size = seen.st_size if stat.S_ISREG(seen.st_mode) else seen.st_rdev
    link = os.readlink("", dir_fd=found.pin) if stat.S_ISLNK(seen.st_mode) else ""
    facts = f"{seen.st_mode:o} {seen.st_uid} {seen.st_gid} {size}".encode()
    return b"\0".join((os.fsencode(found.path), facts, os.fsencode(link)))


def _put_in_place(fresh: Path, upper: Path) -> None:
    """By one rename, so that no moment has half of it; what was there is then in `fresh`."""
    if not upper.exists():
        fresh.rename(upper)
        return
    at_cwd, exchange = -100, 2
    names = (os.fsencode(fresh), os.fsencode(upper))
    if _libc.renameat2(at_cwd, names[0], at_cwd, names[1], exchange) != 0:
        number = ctypes.get_errno()
        raise RuntimeFailed(f"{upper} cannot be replaced: {os.strerror(number)}", errno=number)
