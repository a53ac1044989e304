"""Moves a process's streams through its FIFOs: output from the log or the ring, input to conmon."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path

import structlog

from wharfside_agent.ports.io import Missing, Piece, Source
from wharfside_agent.runtime.fifos import InFifo, Openings, OutFifo
from wharfside_agent.runtime.streams import RunStreams
from wharfside_protocol.errors import RuntimeFailed, WharfsideError
from wharfside_protocol.io_frames import StreamName
from wharfside_protocol.specs import Io
from wharfside_protocol.views import Fifos

log = structlog.get_logger(__name__)

READ_BYTES = 64 * 1024

Read = Callable[[StreamName, int], Source]
"""The output of one stream from an offset of the log on."""


def fifos_of(io: Io, folder: Path) -> Fifos | None:
    """Where the FIFOs of a process are; a terminal has no stderr."""
    if not io.fifo:
        return None
    return Fifos(
        stdin=str(folder / "stdin") if io.stdin or io.tty else None,
        stdout=str(folder / "stdout"),
        stderr=None if io.tty else str(folder / "stderr"),
    )


def make_fifos(io: Io, folder: Path) -> None:
    """For root alone, as the streams of a container are.

    Raises:
        OSError: one cannot be made.
    """
    for path in _paths(fifos_of(io, folder)).values():
        os.mkfifo(path, 0o600)


class FifoPumps:
    """Those of one process, from its beginning until `close`, also past its end.

    How far the log is in a FIFO stands beside it, so that a later life of the agent goes on there:
    of what was being written when it died, a reader may get some twice.
    """

    def __init__(self, streams: RunStreams, folder: Path, read: Read, openings: Openings) -> None:
        self._streams = streams
        self._folder = folder
        self._read = read
        self._openings = openings
        work = [
            self._pump_in(path) if stream is StreamName.STDIN else self._pump_out(stream, path)
            for stream, path in _paths(fifos_of(streams.io, folder)).items()
        ]
        self._tasks = [asyncio.ensure_future(_guarded(each, folder)) for each in work]

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _pump_out(self, stream: StreamName, path: Path) -> None:
        done = path.with_suffix(".at")
        fifo = OutFifo(path, self._openings)
        source = self._read(stream, int(done.read_text()) if done.exists() else 0)
        try:
            while (piece := await source.read(READ_BYTES)) is not None:
                await self._pass_on(stream, piece, fifo, done)
            await fifo.finish()
        finally:
            source.close()
            fifo.close()

    async def _pass_on(self, stream: StreamName, piece: object, fifo: OutFifo, done: Path) -> None:
        """What is missing cannot be told in a plain stream."""
        assert isinstance(piece, Piece | Missing)
        if isinstance(piece, Missing):
            log.warning("fifo-lost", fifo=str(done), bytes=piece.count)
        else:
            for chunk in piece.chunks:
                if chunk.stream is stream:
                    await fifo.write(chunk.data)
        if piece.position is not None:
            _note(done, piece.position.offset)

    async def _pump_in(self, path: Path) -> None:
        """Until stdin has had its end; one that is kept takes one writer after the other."""
        fifo = InFifo(path)
        try:
            while not self._streams.input_over:
                data = await fifo.read()
                with suppress(RuntimeFailed):  # the process is over: nobody takes it
                    self._streams.open_input()
                if data:
                    await self._streams.write(data)
                else:
                    self._streams.end_input()
        finally:
            fifo.close()


def _paths(fifos: Fifos | None) -> dict[StreamName, Path]:
    if fifos is None:
        return {}
    named = {
        StreamName.STDIN: fifos.stdin,
        StreamName.STDOUT: fifos.stdout,
        StreamName.STDERR: fifos.stderr,
    }
    return {stream: Path(path) for stream, path in named.items() if path is not None}


def _note(path: Path, offset: int) -> None:
    """On a tmpfs: it dies with the boot, as the process does. Whole at any death of the agent."""
    new = path.with_suffix(".new")
    new.write_text(str(offset))
    new.replace(path)


async def _guarded(pump: Coroutine[None, None, None], folder: Path) -> None:
    try:
        await pump
    except (WharfsideError, OSError) as error:
        log.warning("fifo-ended", folder=str(folder), error=str(error))
