"""Checkpoints to files and from them: tars that Podman's tools and CRIU's read."""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Unpack

from wharfside_client.calls import Options
from wharfside_client.checkpoints import CHECKPOINT_S
from wharfside_client.errors import LocalFiles
from wharfside_client.files import Progress, archive_of, silent
from wharfside_client.ops import Ops
from wharfside_client.session import Session
from wharfside_protocol.checkpoints import CheckpointView
from wharfside_protocol.codec import decode
from wharfside_protocol.errors import Internal
from wharfside_protocol.io_frames import Chunk, StreamName

PIECE = 256 * 1024


class CheckpointFileOps(Ops):
    """See `Node` for what every call takes and raises."""

    async def save_checkpoint(
        self,
        container: str,
        checkpoint: str,
        to: Path,
        *,
        incarnation: str | None = None,
        progress: Progress = silent,
        **options: Unpack[Options],
    ) -> int:
        """Writes a checkpoint to the file `to`, which is there whole or as it was; its bytes.

        None but its owner may read the file: the memory of a program is in it.

        Raises:
            LocalFiles: the file cannot be written.
        """
        args = {"container": container, "checkpoint": checkpoint, "incarnation": incarnation}
        options.setdefault("timeout_s", CHECKPOINT_S)
        new = to.with_name(f".{to.name}.{secrets.token_hex(4)}")
        with _told(to), _new_file(new, to) as file:
            async with self.session("save-checkpoint", args, **options) as session:
                passed = await _written(session, file, progress)
        return passed

    async def load_checkpoint(
        self, file: Path, *, progress: Progress = silent, **options: Unpack[Options]
    ) -> CheckpointView:
        """Brings a saved checkpoint to the node, under the container's incarnation and its name.

        Raises:
            Invalid: it is broken, or none of ours.
            AlreadyExists: the node has it.
            LocalFiles: the file cannot be read.
        """
        with _told(file):
            return await self._loaded(file, progress, options)

    async def _loaded(self, file: Path, progress: Progress, options: Options) -> CheckpointView:
        size = (await asyncio.to_thread(file.stat)).st_size
        options.setdefault("timeout_s", CHECKPOINT_S)
        async with self.session("load-checkpoint", {"bytes": size}, **options) as session:
            passed = 0
            async for piece in _read(file):
                await session.write(piece)
                passed += len(piece)
                progress(passed, size)
            await session.end()
            told = b""
            async for item in session:
                if isinstance(item, Chunk) and item.stream is StreamName.STDOUT:
                    told += item.data
        if not told:
            raise Internal("the node does not say what it has loaded")
        return decode(told, CheckpointView)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Raises LocalFiles: something is wrong with the file `path`."""
    try:
        yield
    except OSError as error:
        raise LocalFiles(f"{path}: {error.strerror}", path=str(path)) from error


@contextmanager
def _new_file(new: Path, to: Path) -> Iterator[IO[bytes]]:
    """Written as `new`, and `to` once all of it is there. What would keep it from being written
    is found before anything is sent for it."""
    if to.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(to))
    try:
        with open(new, "xb", opener=_private) as file:
            yield file
        new.rename(to)
    finally:
        new.unlink(missing_ok=True)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


async def _written(session: Session, file: IO[bytes], progress: Progress) -> int:
    passed = 0
    async for data in archive_of(session):
        await asyncio.to_thread(file.write, data)
        passed += len(data)
        progress(passed, None)
    file.flush()
    await asyncio.to_thread(os.fsync, file.fileno())
    return passed


async def _read(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, PIECE):
            yield piece
