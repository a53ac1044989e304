"""What an I/O session carries: output that somebody reads, input that somebody takes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from wharfside_protocol.errors import WharfsideError
from wharfside_protocol.exits import ExitStatus
from wharfside_protocol.io_frames import Chunk, Position


@dataclass(frozen=True, slots=True)
class Piece:
    """Output, at most as much as was asked for, in at most MAX_CHUNKS (io_frames) chunks.

    `position`: where the log goes on behind it.
    """

    chunks: Sequence[Chunk]
    position: Position | None = None


@dataclass(frozen=True, slots=True)
class Missing:
    """`count` bytes that are not there any more."""

    count: int
    position: Position | None = None


@dataclass(frozen=True, slots=True)
class Over:
    """The process's end; nothing but the end of the source follows."""

    process: str
    incarnation: str
    run: int
    exit: ExitStatus


class Source(Protocol):
    """Where output comes from: a log, a ring, an archive. One reader."""

    async def read(self, most: int) -> Piece | Missing | Over | None:
        """The next, as soon as there is any; None: there is no more.

        Called only when the peer has room for `most` bytes: a source is never ahead of it.

        Raises:
            WharfsideError: it ends here, and the peer is told why.
        """
        ...

    def close(self) -> None:
        """Lets go of everything; a `read` under way ends. Idempotent."""
        ...


class NoReader(Exception):
    """Nobody reads the input any more, which is no fault: a process may close its stdin, or end.

    The rest of it is dropped, and the output goes on to its end.
    """


class LiveSource(Source, Protocol):
    """A process's output, which comes whether or not it is read."""

    def behind(self) -> int:
        """Bytes that are there and were not read yet: where they pile up, some will be lost."""
        ...


class Sink(Protocol):
    """Where input goes: a process's stdin, a terminal, an archive."""

    async def write(self, data: bytes) -> None:
        """Returns once it is taken; until then the peer gets no more room.

        Raises:
            NoReader: see there.
            WharfsideError: the session ends, and the peer is told why.
        """
        ...

    async def eof(self) -> None:
        """No more input comes. Raises as `write`."""
        ...

    async def resize(self, rows: int, columns: int) -> None:
        """Also while a `write` waits. What it raises is logged, and ends nothing."""
        ...

    async def signal(self, name: str) -> None:
        """As `resize`: the process may just have ended, and the session has its exit to tell."""
        ...

    def close(self) -> None:
        """The session is over; idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class Carried:
    """What goes through a session, which closes both at its end.

    Without `sink` nothing goes up; with `input` off only resizes and signals do. `failed`: done
    with why the session must end now, whatever source and sink wait for.
    """

    source: Source
    sink: Sink | None = None
    input: bool = True
    tty: bool = False
    failed: asyncio.Future[WharfsideError] | None = None
