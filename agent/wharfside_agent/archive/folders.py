"""The folders of an archive while it is unpacked: found, made, and given their times at the end."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from wharfside_agent.archive.faults import refused
from wharfside_agent.archive.openat import FOLDER, closing, open_beneath
from wharfside_protocol.archive_names import Parts, clash
from wharfside_protocol.tar_members import Member

_PIN = os.O_PATH | os.O_DIRECTORY

MAX_REMEMBERED_BYTES = 16 * 1024 * 1024
"""Paths of folders whose times are set at the end; further ones keep that of unpacking."""

_ENTRY = 200
"""What a remembered one takes beside its path."""


class Folders:
    """Below `top`, an open folder. All are found anew each time: they may have been swapped."""

    def __init__(self, top: int) -> None:
        self._top = top
        self._times: dict[str, int] = {}
        self._room = MAX_REMEMBERED_BYTES

    def open(self, parts: Parts) -> int:
        """The folder, made with those above it where it is missing; O_PATH.

        Also through links that were there and stay below the top: `lib -> usr/lib`.

        Raises:
            Denied: a link leads out of the top.
            WharfsideError: it is something else, or cannot be made.
        """
        depth = len(parts)
        while True:
            path = "/".join(parts[:depth]) or "."
            try:
                fd = open_beneath(self._top, path, _PIN, links=True)
                break
            except FileNotFoundError as error:
                if depth == 0:
                    raise refused(error, path) from error
                depth -= 1
            except OSError as error:
                raise refused(error, path) from error
        for name in parts[depth:]:
            with closing(fd) as parent:
                fd = self._made(parent, name, "/".join(parts))
        return fd

    @staticmethod
    def _made(parent: int, name: str, path: str) -> int:
        """As `mkdir -p` makes it; not by the agent's own umask."""
        try:
            with suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=parent)
            fd = os.open(name, FOLDER | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
            os.fchmod(fd, 0o755)
        except OSError as error:
            raise refused(error, path) from error
        return fd

    def make(self, parent: int, parts: Parts, member: Member) -> None:
        """A folder of the archive; one that is there gets its owner and mode."""
        name = parts[-1]
        try:
            with suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=parent)
            if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
                raise clash("/".join(parts), is_folder=False)
            folder = os.open(name, FOLDER | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
            with closing(folder):
                os.fchown(folder, member.uid, member.gid)
                os.fchmod(folder, member.mode)
        except OSError as error:
            raise refused(error, "/".join(parts)) from error
        if self._room > 0:
            path = "/".join(parts)
            self._times[path] = member.mtime
            self._room -= len(path) + _ENTRY

    def finish(self) -> None:
        """Their times, which each file put into them has changed; one that is gone is left."""
        for path, mtime in reversed(self._times.items()):
            with (
                suppress(OSError),
                closing(open_beneath(self._top, path, FOLDER, links=True)) as folder,
            ):
                os.utime(folder, (mtime, mtime))
