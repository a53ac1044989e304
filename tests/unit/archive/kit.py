"""A container's root, a place outside of it, and archives in and out, without a container."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from wharfside_agent.archive.archives import TarArchives
from wharfside_agent.ports.io import Piece, Sink, Source
from wharfside_agent.runtime.container_root import LentRoot, LentRoots
from wharfside_protocol.io_frames import StreamName

PIECE = 32 * 1024


@dataclass
class Box:
    """`root` is the container's, with the usual links; `outside` holds what nobody may touch."""

    root: Path
    outside: Path
    archives: TarArchives
    roots: LentRoots

    def lend(self) -> LentRoot:
        return self.roots.lend(os.open(self.root, os.O_PATH | os.O_DIRECTORY))

    async def pull(self, path: str, *, follow: bool = False) -> tuple[bytes, str]:
        """The tar of `path`, and what was said about it."""
        leaving = await self.archives.leave(self.lend(), path, follow=follow)
        data = await drain(leaving.source)
        leaving.source.close()
        return data[StreamName.ARCHIVE], data[StreamName.STDERR].decode()

    async def push(self, path: str, data: bytes, *, eof: bool = True) -> None:
        arriving = await self.archives.arrive(self.lend(), path)
        assert arriving.sink is not None
        try:
            await feed(arriving.sink, data)
            if eof:
                await arriving.sink.eof()
            else:
                arriving.sink.close()
            await drain(arriving.source)
        finally:
            arriving.sink.close()
            arriving.source.close()

    def tree(self, below: str = "") -> set[str]:
        top = self.root / below
        return {str(path.relative_to(top)) for path in top.rglob("*")}


async def drain(source: Source) -> dict[StreamName, bytes]:
    found = {StreamName.ARCHIVE: b"", StreamName.STDERR: b""}
    while (piece := await source.read(PIECE)) is not None:
        assert isinstance(piece, Piece)
        for chunk in piece.chunks:
            assert len(chunk.data) <= PIECE
            found[chunk.stream] += chunk.data
    return found


async def feed(sink: Sink, data: bytes) -> None:
    for at in range(0, len(data), PIECE):
        await sink.write(data[at : at + PIECE])


Change = Callable[[tarfile.TarInfo], None]


def member(
    name: str, data: bytes | None = None, kind: bytes | None = None, **fields: object
) -> tuple[tarfile.TarInfo, bytes]:
    """A file with `data`, a folder without, or a thing of `kind` (tarfile's types)."""
    info = tarfile.TarInfo(name)
    info.type = kind or (tarfile.DIRTYPE if data is None else tarfile.REGTYPE)
    info.mode = 0o755 if data is None else 0o644
    info.size = len(data or b"")
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data or b""


def tar(members: Iterable[tuple[tarfile.TarInfo, bytes]], form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def members(data: bytes) -> dict[str, tarfile.TarInfo]:
    """As another reader (Python's) finds them."""
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        return {info.name: info for info in archive}


def content(data: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        file = archive.extractfile(name)
        assert file is not None
        return file.read()
