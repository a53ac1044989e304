"""The files of one process's log, and which bytes of it each holds.

`<run>-<process>.log` is the one that conmon writes; a rotated one has the count of the log's
bytes before it at its end, `<run>-<process>.log.<start>`. So a place in the log is one number
whatever was rotated or removed since, and what is missing is known to the byte.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


class LogFiles:
    """One log. One object a log while its process lives, shared by rotation and readers.

    Attributes:
        path: what conmon has open, or will open.
        starts: of the complete files, oldest first.
        start: of the one that is written.
        moved: that one has its rotated name already, and conmon has still to begin the next.
        whole: its process is over; nothing more is written.
    """

    def __init__(self, path: Path, starts: list[int], *, whole: bool = False) -> None:
        self.path = path
        self.starts = starts
        self.whole = whole
        self.moved = bool(starts) and not path.exists()
        if self.moved:
            self.start = self.starts.pop()
        else:
            self.start = starts[-1] + _size(self._rotated(starts[-1])) if starts else 0
        self._told: list[Callable[[], None]] = []
        self._end: int | None = None
        if whole:
            self._end = self.end

    @classmethod
    def found(cls, path: Path, *, whole: bool = False) -> LogFiles:
        """As a former life of the agent left it."""
        return cls(path, rotated_starts(path), whole=whole)

    @property
    def first(self) -> int:
        """Where the oldest file begins: what was before it is gone."""
        return self.starts[0] if self.starts else self.start

    @property
    def end(self) -> int:
        """How many bytes it has had; remembered of a whole one, whose files may go."""
        if self._end is not None:
            return self._end
        return self.start + _size(self.file(self.start))

    def after(self, start: int) -> int:
        """Where the file that begins at `start` ends, there or not."""
        return next((other for other in self.files if other > start), self.end)

    @property
    def files(self) -> list[int]:
        """The starts of all files, oldest first."""
        return [*self.starts, self.start]

    def file(self, start: int) -> Path:
        """Where the file that begins at `start` lies now."""
        return self.path if start == self.start and not self.moved else self._rotated(start)

    def open(self, start: int) -> int:
        """That file, to read; also from a thread, while it is rotated. -1: it is gone."""
        while True:
            path = self.file(start)
            for name in (path, self._rotated(start)):
                with suppress(FileNotFoundError):
                    fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
                    if self.file(start) == path:
                        return fd
                    os.close(fd)  # it may be the one that conmon has just begun
                    break
            else:
                return -1

    def holding(self, offset: int) -> int:
        """The start of the file with `offset` in it, or the first one after it."""
        files = self.files
        return files[max(bisect_right(files, offset) - 1, 0)]

    def complete(self, start: int) -> bool:
        """Nothing more is written into this file."""
        return self.whole or start != self.start

    def move(self) -> None:
        """Gives the written file its rotated name, and conmon one that it can open.

        Made before it is needed: conmon dies where it can make no file (a full disk).

        Raises:
            OSError: nothing was moved.
        """
        os.close(os.open(self.following, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self.path.rename(self._rotated(self.start))
        self.moved = True

    @property
    def following(self) -> Path:
        """What conmon opens next, and renames to `path` (ctr_logging.c)."""
        return Path(f"{self.path}.tmp")

    def moved_on(self) -> None:
        """conmon writes the next file: the one before it is complete."""
        self.starts.append(self.start)
        self.start += _size(self._rotated(self.start))
        self.moved = False
        self._tell()

    def drop_oldest(self) -> Path:
        """It is no part of the log any more: the file to remove."""
        return self._rotated(self.starts.pop(0))

    def finish(self) -> None:
        """The process and its conmon are over."""
        if self.moved and self.path.exists():
            self.moved_on()  # the rotation did not come to see it
        self._end = self.end
        self.whole = True
        self._tell()

    def on_change(self, ring: Callable[[], None]) -> Callable[[], None]:
        """Calls `ring` when a file becomes complete; returns what ends that."""
        self._told.append(ring)
        return lambda: self._told.remove(ring)

    def _tell(self) -> None:
        for ring in list(self._told):
            ring()

    def _rotated(self, start: int) -> Path:
        return Path(f"{self.path}.{start}")


def rotated_starts(path: Path) -> list[int]:
    """Of the rotated files of the log at `path`."""
    prefix = f"{path.name}."
    try:
        names = [name for name in os.listdir(path.parent) if name.startswith(prefix)]  # noqa: PTH208
    except FileNotFoundError:
        return []
    ends = (name.removeprefix(prefix) for name in names)
    return sorted(int(end) for end in ends if end.isdecimal() and end.isascii())


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
