"""Images out of and into the disk as one stream; ports.images.Outgoing and Incoming.

What comes in is digested as it comes, and never read again; a new life of the agent reads what
the former one had, and goes on from there.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from wharfside_agent.blocking import Work
from wharfside_agent.core.image_digest import FileDigest
from wharfside_agent.core.image_stream import Part, check_total, head, layout, total
from wharfside_agent.core.images import (
    MANIFEST,
    MANIFEST_DIGEST,
    MAX_MANIFEST_BYTES,
    CheckpointManifest,
    read,
)
from wharfside_agent.images.keeper import Keeper
from wharfside_agent.ports.images import Image
from wharfside_protocol.errors import Invalid

CHUNK = 1024 * 1024
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class OutgoingImage:
    """ports.images.Outgoing."""

    def __init__(self, images: Keeper, image: Image) -> None:
        self._images = images
        self._folder = image.folder
        self._parts = layout(image.manifest)
        self.digest = image.digest
        self.manifest_bytes = self._parts[0].size
        self.total = total(self._parts)

    async def read(self, offset: int, most: int) -> bytes:
        return await self._images.run(lambda _: self._read(offset, min(most, self.total - offset)))

    def _read(self, offset: int, size: int) -> bytes:
        pieces = []
        for part in self._parts:
            if part.end <= offset or not size:
                continue
            count = min(size, part.end - offset)
            pieces.append(_slice(self._folder / part.path, offset - part.start, count))
            offset, size = offset + count, size - count
        return b"".join(pieces)


class IncomingImage:
    """ports.images.Incoming: in order, without gaps; `received` is where it goes on."""

    def __init__(
        self, images: Keeper, folder: Path, digest: str, manifest_bytes: int, promised: int
    ) -> None:
        if not 0 < manifest_bytes <= MAX_MANIFEST_BYTES:
            raise Invalid(f"an image's manifest has no {manifest_bytes} bytes")
        self._images = images
        self._folder = folder
        self._digest = digest
        self._parts = head(manifest_bytes)
        self._manifest: CheckpointManifest | None = None
        self._told = b""
        self._at = 0
        self._file = -1
        self._sha = FileDigest()
        self.total = promised
        self.received = 0

    async def resume(self) -> None:
        """Takes up what is in the folder; what does not fit there begins anew."""
        await self._images.run(self._resume)

    async def write(self, offset: int, data: bytes) -> None:
        if offset != self.received:
            raise Invalid(f"piece at {offset}, but {self.received} is next")
        await self._images.run(lambda _: self._take(data))

    async def finish(self) -> Image:
        return await self._images.run(lambda _: self._finish())

    async def discard(self) -> None:
        self.close()
        await self._images.run(lambda _: shutil.rmtree(self._folder, ignore_errors=True))

    def close(self) -> None:
        """Lets go of files; what came stays for a later `resume`."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _resume(self, work: Work) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        while self._at < len(self._parts):
            path = self._folder / self._parts[self._at].path
            try:
                data = path.stat().st_size
            except FileNotFoundError:
                break
            if not self._again(path, min(data, self._parts[self._at].size), work):
                break

    def _again(self, path: Path, size: int, work: Work) -> bool:
        """Digests what is there of a part; whether it is whole."""
        part, at = self._parts[self._at], 0
        self._open(part)
        os.truncate(path, size)
        while at < size:
            data = _slice(path, at, min(CHUNK, size - at))
            self._sha.update(data)
            at += len(data)
            work.add(len(data))
        self.received += size
        if size < part.size:
            return False
        try:
            self._complete(part)
        except Invalid:
            self._start_over()
            return False
        return True

    def _start_over(self) -> None:
        self.close()
        shutil.rmtree(self._folder)
        self._folder.mkdir(mode=0o700)
        self._parts, self._manifest = self._parts[:2], None
        self._at = self.received = 0

    def _take(self, data: bytes) -> None:
        rest = memoryview(data)
        self._pass_empty()
        while rest:
            if self._at == len(self._parts):
                raise Invalid("more came than the image has")
            part = self._parts[self._at]
            if self._file < 0:
                self._open(part)
            count = min(len(rest), part.end - self.received)
            _write(self._file, rest[:count], self.received - part.start)
            self._sha.update(rest[:count])
            self.received += count
            rest = rest[count:]
            if self.received == part.end:
                self._complete(part)
                self._pass_empty()

    def _pass_empty(self) -> None:
        while self._at < len(self._parts) and not self._parts[self._at].size:
            self._open(self._parts[self._at])
            self._complete(self._parts[self._at])

    def _open(self, part: Part) -> None:
        self.close()
        path = self._folder / part.path
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = os.open(path, _WRITE, 0o600)
        self._sha = FileDigest()

    def _complete(self, part: Part) -> None:
        self.close()
        if part.sha256 is not None and self._sha.hexdigest() != part.sha256:
            raise Invalid(f"the image is broken: {part.path} is not what was sent", file=part.path)
        self._at += 1
        if part.path == MANIFEST_DIGEST:
            self._read_manifest()

    def _read_manifest(self) -> None:
        self._told = (self._folder / MANIFEST_DIGEST).read_bytes()
        manifest = read((self._folder / MANIFEST).read_bytes(), self._told)
        if self._told[:64].decode() != self._digest:
            raise Invalid("the image that came is another one than was offered")
        parts = layout(manifest)
        check_total(parts, self.total)
        self._images.check_room(self.total, self._folder)
        self._manifest, self._parts = manifest, parts

    def _finish(self) -> Image:
        self._pass_empty()
        if self._manifest is None or self._at < len(self._parts):
            raise Invalid(f"the image is cut off: {self.received} of {self.total} bytes came")
        for path, target in self._manifest.links.items():
            with suppress(FileExistsError):
                os.symlink(target, self._folder / path)  # noqa: PTH211 - as it was written
        return self._images.place(self._folder, self._manifest, self._told)


def _slice(path: Path, offset: int, size: int) -> bytes:
    fd = os.open(path, _READ)
    try:
        data = os.pread(fd, size, offset)
    finally:
        os.close(fd)
    if len(data) != size:
        raise Invalid(f"the image is broken: {path.name} has become shorter", file=path.name)
    return data


def _write(fd: int, data: memoryview, offset: int) -> None:
    while data:
        count = os.pwrite(fd, data, offset)
        data, offset = data[count:], offset + count
