"""A container's root, a place outside of it, and archives in and out, without a container."""

from __future__ import annotations

import os
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
