"""Room kept back on the disk: a file that is given up, a piece at a time, when it is full.

A piece and not all of it: whatever filled the disk may take what is given up before the
store does, and then the next piece is tried.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

DEFAULT_BYTES = 16 * 1024 * 1024

PIECE_BYTES = 512 * 1024
"""A commit takes some 30 KiB of the log."""

_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE}


class Reserve:
    """`size` bytes are wanted, `left` are there; `whole`: all of them."""

    def __init__(self, path: Path, size: int = DEFAULT_BYTES) -> None:
        self._path = path
        self.size = size
        self.left = path.stat().st_size if path.exists() else 0

    @property
    def whole(self) -> bool:
        return self.left >= self.size

    def give(self) -> bool:
        """Frees a piece; False: there is none left."""
        if self.left == 0:
            return False
        self.left = max(0, self.left - PIECE_BYTES)
        os.truncate(self._path, self.left)
        return True

    def rebuild(self) -> bool:
        """Takes the room again, if the disk has it and as much again; whether it is whole.

        As much again: else what it takes would be missing at once, and given up again.
        """
        if self.whole:
            return True
        disk = os.statvfs(self._path.parent)
        if disk.f_bavail * disk.f_frsize < 2 * self.size - self.left:
            return False
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(fd, 0, self.size)
            self.left = self.size
        except OSError as error:
            os.ftruncate(fd, self.left)
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
        finally:
            os.close(fd)
        return self.whole


def is_full(error: BaseException) -> bool:
    """Whether SQLite says by `error` that there is no room on the disk."""
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", None) in _FULL
