"""What a session carries of an archive: ports.io over a worker's pipes."""

from __future__ import annotations

import asyncio
from typing import Any

from wharfside_agent.archive.pipes import ReadEnd, WriteEnd
from wharfside_agent.archive.workers import Worker
from wharfside_agent.ports.io import Piece
from wharfside_protocol.errors import Canceled, Invalid, WharfsideError
from wharfside_protocol.io_frames import Chunk, StreamName


class _Tail:
    """How a worker's stream ends: with its error, or with what it has to say (`stderr`).

    Not before its thread has let go of all: whoever asks again at once finds its place free.
    """

    def __init__(self, worker: Worker[Any]) -> None:
        self._worker = worker
        self._told = False

    async def next(self) -> Piece | None:
        await asyncio.shield(self._worker.over)
        if self._worker.error is not None:
            raise self._worker.error
        text, self._told = b"" if self._told else self._worker.notes.text(), True
        return Piece([Chunk(stream=StreamName.STDERR, data=text)]) if text else None


def _canceled() -> Canceled:
    return Canceled(
        "the container's files are gone: it was deleted, or started again; what was copied "
        "until then is not whole"
    )


class PackedSource:
    """ports.io.Source of what leaves."""

    def __init__(self, end: ReadEnd, worker: Worker[Any]) -> None:
        self._end = end
        self._tail = _Tail(worker)

    async def read(self, most: int) -> Piece | None:
        if data := await self._end.read(most):
            return Piece([Chunk(stream=StreamName.ARCHIVE, data=data)])
        if self._end.closed:
            raise _canceled()
        return await self._tail.next()

    def close(self) -> None:
        self._end.close()


class UnpackingSource:
    """ports.io.Source that says nothing until all is unpacked."""

    def __init__(self, end: ReadEnd, worker: Worker[Any]) -> None:
        self._end = end
        self._tail = _Tail(worker)

    async def read(self, most: int) -> Piece | None:
        await self._end.read(most)
        try:
            if not self._end.closed:
                return await self._tail.next()
        except WharfsideError:
            # who ends the session closes both ways: that the archive is cut off is no news then
            if not self._end.closed:
                raise
        raise _canceled()

    def close(self) -> None:
        self._end.close()


class UnpackingSink:
    """ports.io.Sink of what arrives. Closed before `eof`, the archive is cut off."""

    def __init__(self, end: WriteEnd, worker: Worker[Any]) -> None:
        self._end = end
        self._worker = worker

    async def write(self, data: bytes) -> None:
        try:
            await self._end.write(data)
        except BrokenPipeError as error:
            raise self._worker.error or _canceled() from error

    async def eof(self) -> None:
        self._end.close()

    async def resize(self, rows: int, columns: int) -> None:
        raise Invalid("an archive has no window")

    async def signal(self, name: str) -> None:
        raise Invalid("an archive takes no signals")

    def close(self) -> None:
        self._end.close()
