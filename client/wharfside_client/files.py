"""A node's files: archives of a container's, and copies between it and this side."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Unpack

from wharfside_client.calls import Options
from wharfside_client.localfiles import LocalTree, Note
from wharfside_client.ops import Ops
from wharfside_client.session import Session
from wharfside_client.staging import Staging
from wharfside_protocol.errors import Internal
from wharfside_protocol.io_commands import ArchiveValue
from wharfside_protocol.io_frames import Chunk, StreamName

Progress = Callable[[int, int | None], None]
"""Is told how many bytes have passed, and of how many (None: not known)."""


def silent(*_: object) -> None:
    """Nobody wants to know."""


class FileOps(Ops):
    """See `Node` for what every call takes and raises."""

    def get_archive(
        self, container: str, path: str, *, follow: bool = False, **options: Unpack[Options]
    ) -> Session:
        """A session that gives a tar stream of `path` (`archive_of` iterates over its bytes)."""
        args = {"container": container, "path": path, "follow": follow}
        return self.session("get-archive", args, **options)

    def put_archive(self, container: str, path: str, **options: Unpack[Options]) -> Session:
        """A session that takes a tar stream; iterate to its end: then all is unpacked."""
        args = {"container": container, "path": path}
        return self.session("put-archive", args, **options)

    async def copy_from(
        self,
        container: str,
        path: str,
        to: str,
        *,
        follow: bool = False,
        keep_owner: bool = False,
        progress: Progress = silent,
        note: Note = silent,
        **options: Unpack[Options],
    ) -> int:
        """Copies a file or folder out of a container to `to`, as docker cp does; its bytes.

        What is cut off, canceled or refused leaves nothing behind. `follow`: of a link what
        it leads to. `keep_owner` has an effect for root alone. `note` is told what was left out.

        Raises:
            LocalFiles: it cannot be put there.
        """
        staging = Staging(to, note, keep_owner=keep_owner)
        async with self.get_archive(container, path, follow=follow, **options) as session:
            passed = _told(archive_of(session, note), _size(session), progress)
            return await _unpacked(passed, staging)

    async def copy_to(
        self,
        container: str,
        path: str,
        tree: LocalTree,
        *,
        progress: Progress = silent,
        note: Note = silent,
        **options: Unpack[Options],
    ) -> int:
        """Copies a file or folder into a container to `path`, as docker cp does; its bytes.

        Each file is there whole, or not; where it fails, those before it are there.

        Raises:
            LocalFiles: it cannot be read.
        """
        size = await asyncio.to_thread(tree.size)
        passed = _told(_pieces(tree, note), size, progress)
        return await self.send_archive(container, path, passed, note=note, **options)

    async def send_archive(
        self,
        container: str,
        path: str,
        data: AsyncIterator[bytes],
        *,
        note: Note = silent,
        **options: Unpack[Options],
    ) -> int:
        """Unpacks a tar stream in a container at `path`; its bytes."""
        sent = 0
        async with self.put_archive(container, path, **options) as session:
            async for piece in data:
                await session.write(piece)
                sent += len(piece)
            await session.end()
            async for _ in archive_of(session, note):
                raise Internal("the node answered an archive with another one")
        return sent


async def archive_of(session: Session, note: Note = silent) -> AsyncIterator[bytes]:
    """The bytes of a session's tar stream; `note` is told what was left out of it."""
    async for item in session:
        if not isinstance(item, Chunk):
            continue
        if item.stream is StreamName.ARCHIVE:
            yield item.data
        else:
            for line in item.data.decode(errors="replace").splitlines():
                name, _, why = line.partition(": ")
                note(name, why)


def _size(session: Session) -> int | None:
    return session.value.bytes if isinstance(session.value, ArchiveValue) else None


async def _told(
    data: AsyncIterator[bytes], size: int | None, progress: Progress
) -> AsyncIterator[bytes]:
    passed = 0
    progress(0, size)
    async for piece in data:
        yield piece
        passed += len(piece)
        progress(passed, size)


async def _pieces(tree: LocalTree, note: Note) -> AsyncIterator[bytes]:
    stream = tree.stream(note)
    while (data := await asyncio.to_thread(next, stream, None)) is not None:
        yield data


async def _unpacked(data: AsyncIterator[bytes], staging: Staging) -> int:
    """Passes `data` on to a thread that unpacks it; it is over when this returns, or raises."""
    reading, writing = os.pipe()
    work = asyncio.ensure_future(asyncio.to_thread(_unpack, staging, reading))
    step: asyncio.Future[int] | None = None
    passed = 0
    try:
        async for piece in data:
            rest = piece
            while rest:
                step = asyncio.ensure_future(asyncio.to_thread(os.write, writing, rest))
                rest = rest[await asyncio.shield(step) :]
            passed += len(piece)
    except BrokenPipeError:
        pass  # it tells below why it takes no more
    finally:
        # also where this is canceled: no thread may use a descriptor that is closed
        if step is not None:
            await asyncio.wait({step})
        os.close(writing)
        await asyncio.wait({work})
    work.result()
    return passed


def _unpack(staging: Staging, reading: int) -> None:
    try:
        staging.unpack(partial(os.read, reading))
    finally:
        os.close(reading)
