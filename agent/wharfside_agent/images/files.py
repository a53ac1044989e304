"""The files of an image's folder: found, digested, synced, removed. Blocking: for a thread."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from wharfside_agent.blocking import Work
from wharfside_agent.core.image_digest import PART_BYTES, of_parts
from wharfside_agent.core.images import MAX_FILES, OURS, ImageFile, check_names
from wharfside_protocol.errors import Invalid

CHUNK = 1024 * 1024
SYNCED_AT_ONCE = 16
DIGESTED_AT_ONCE = 4
"""The node has containers to run, too."""

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_DEPTH = 3


class FolderRoot:
    """ports.runtime.Root of an image's folder, which nobody asks back."""

    def __init__(self, folder: Path) -> None:
        self.fd = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        self._open = True

    def on_recall(self, call: Callable[[], None]) -> None:
        """Never."""

    def release(self) -> None:
        if self._open:
            self._open = False
            os.close(self.fd)


@dataclass(frozen=True, slots=True)
class Listing:
    """Every file below an image's folder, with its size; and CRIU's links."""

    sizes: dict[str, int]
    links: dict[str, str]

    @property
    def bytes(self) -> int:
        return sum(self.sizes.values())


def listing(folder: Path) -> Listing:
    """
    Raises:
        Invalid: something there belongs to no image.
        FileNotFoundError: there is no such folder.
    """
    found = Listing({}, {})
    _look(folder, "", found, 1)
    check_names({path: 0 for path in found.sizes if path not in OURS}, found.links)
    return found


def _look(folder: Path, below: str, found: Listing, depth: int) -> None:
    with os.scandir(folder) as entries:
        for entry in entries:
            path = f"{below}{entry.name}"
            if entry.is_symlink():
                found.links[path] = os.readlink(entry.path)  # noqa: PTH115 - as it is written
            elif entry.is_dir(follow_symlinks=False) and depth < _MAX_DEPTH:
                _look(Path(entry.path), f"{path}/", found, depth + 1)
            elif entry.is_file(follow_symlinks=False):
                found.sizes[path] = entry.stat(follow_symlinks=False).st_size
            else:
                raise Invalid(f"an image has no {path}: neither a file nor one of its folders")
            if len(found.sizes) + len(found.links) > MAX_FILES:
                raise Invalid(f"the image has more than {MAX_FILES} files")


def digest(path: Path, work: Work) -> ImageFile:
    """Raises OSError, Canceled."""
    fd = os.open(path, _READ)
    try:
        size = os.fstat(fd).st_size
        part = partial(_digest_part, fd, work)
        if size <= PART_BYTES:
            parts = [part(0)]
        else:
            with ThreadPoolExecutor(DIGESTED_AT_ONCE, "digest") as pool:
                parts = list(pool.map(part, range(0, size, PART_BYTES)))
    finally:
        os.close(fd)
    return ImageFile(bytes=size, sha256=of_parts(parts))


def _digest_part(fd: int, work: Work, start: int) -> bytes:
    sha, at, view = hashlib.sha256(), start, memoryview(bytearray(CHUNK))
    while (most := min(CHUNK, start + PART_BYTES - at)) and (
        count := os.preadv(fd, [view[:most]], at)
    ):
        sha.update(view[:count])
        at += count
        work.add(count)
    return sha.digest()


def verify(folder: Path, files: dict[str, ImageFile], work: Work) -> None:
    """
    Raises:
        Invalid: a file is not what its digest says.
    """
    for path, file in files.items():
        if digest(folder / path, work) != file:
            raise Invalid(
                f"the image is broken: {path} is not what was written (its digest differs)",
                file=path,
            )


@contextmanager
def syncing(paths: Iterable[Path]) -> Iterator[Callable[[Iterable[Path]], None]]:
    """All of them, and what is handed on to the context's function, are on the disk when it is
    left; beside what is done within it.

    Side by side, too: the file system commits those together that wait at the same time.
    """
    with ThreadPoolExecutor(SYNCED_AT_ONCE, "sync") as pool:
        waiting: list[Future[None]] = []

        def more(paths: Iterable[Path]) -> None:
            waiting.extend(pool.submit(sync, path) for path in paths)

        more(paths)
        yield more
        for done in waiting:
            done.result()


def sync(path: Path) -> None:
    """A file's bytes, or a folder's names."""
    fd = os.open(path, _READ)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def folders(top: Path) -> Iterator[Path]:
    """Each folder of an image; the top, too."""
    return (Path(folder) for folder, _, _ in os.walk(top))


def remove(folder: Path, mark: Callable[[], Path]) -> bool:
    """Out of its name at once by a rename to `mark()`, then for good. False: it is not there."""
    aside = mark()
    try:
        folder.rename(aside)
    except FileNotFoundError:
        return False
    sync(folder.parent)
    shutil.rmtree(aside)
    return True
