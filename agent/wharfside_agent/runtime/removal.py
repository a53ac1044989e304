"""Removes folders that others have filled: no symbolic link and no mount is ever followed."""

from __future__ import annotations

import errno
import os
import secrets
from collections import deque
from pathlib import Path

from wharfside_protocol.errors import RuntimeFailed

SMALL_ENTRIES = 32
SMALL_BYTES = 1024 * 1024

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_folder(path: Path) -> None:
    """Removes `path` and all below it. Idempotent.

    Raises:
        RuntimeFailed: something is a mount point or cannot be removed; it names what.
    """
    try:
        top = os.open(path, _FOLDER)
    except FileNotFoundError:
        return
    except OSError as error:  # a file or a symbolic link in its place
        raise _failed(path, error) from error
    try:
        _Emptying(top).run()
        path.rmdir()
    except OSError as error:
        raise _failed(path, error) from error
    finally:
        os.close(top)


def is_small(path: Path) -> bool:
    """To remove it takes well under a millisecond, by what lies in it; also one that is not there.

    Not of a folder that others have filled: they may nest folders.
    """
    try:
        with os.scandir(path) as entries:
            sizes = [entry.stat(follow_symlinks=False).st_size for entry in entries]
    except OSError:
        return not os.path.lexists(path)
    return len(sizes) <= SMALL_ENTRIES and sum(sizes) <= SMALL_BYTES


def _failed(path: Path, error: OSError) -> RuntimeFailed:
    mounted = error.errno == errno.EBUSY
    why = "something in it is a mount point" if mounted else error.strerror
    return RuntimeFailed(
        f"{path} cannot be removed: {why}", path=str(path), errno=error.errno, at=error.filename
    )


class _Emptying:
    """Empties a folder without recursion: a container may nest its folders without end.

    Each folder is renamed to the top before it is opened. The kernel refuses (EBUSY)
    to rename a mount point, so no mount is ever entered, whatever was not unmounted.
    """

    def __init__(self, top: int) -> None:
        self._top = top
        self._found: deque[str] = deque()
        self._mark = f".removing-{secrets.token_hex(8)}-"
        self._count = 0

    def run(self) -> None:
        self._strip(self._top)
        while self._found:
            name = self._found.popleft()
            folder = os.open(name, _FOLDER, dir_fd=self._top)
            try:
                self._strip(folder)
            finally:
                os.close(folder)
            os.rmdir(name, dir_fd=self._top)

    def _strip(self, folder: int) -> None:
        with os.scandir(folder) as entries:
            found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        for name, is_folder in found:
            if is_folder:
                self._lift(folder, name)
            else:
                os.unlink(name, dir_fd=folder)

    def _lift(self, folder: int, name: str) -> None:
        self._count += 1
        lifted = f"{self._mark}{self._count}"
        os.rename(name, lifted, src_dir_fd=folder, dst_dir_fd=self._top)
        self._found.append(lifted)
