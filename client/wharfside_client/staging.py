"""Unpacks what a node sends: apart first, and moved to its place once it is whole.

The node is not trusted: no name leads out of the folder made for it, no link of the archive is
followed, nothing of it is setuid, belongs to another, or is a device. What is cut off leaves
nothing behind.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from wharfside_client.errors import LocalFiles
from wharfside_client.localfiles import Note
from wharfside_protocol.archive_names import Names, Parts, clash, refuse_devices
from wharfside_protocol.errors import Invalid
from wharfside_protocol.tar_members import Kind, Member, next_member, padding
from wharfside_protocol.tar_stream import Incoming

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

SAFE_MODE = 0o755
"""Neither setuid nor for all to write, as Python's own `data` filter has it."""


class Staging:
    """Where an archive goes: below `to`, if that is a folder, else it becomes `to` itself.

    Attributes:
        made: so many files, folders and links are there.
    """

    def __init__(self, to: str, note: Note, *, keep_owner: bool = False) -> None:
        """
        Raises:
            LocalFiles: nothing can be put there.
        """
        self._to = Path(os.path.realpath(to))
        self._note = note
        self._keep_owner = keep_owner
        self.made = 0
        if self._to.is_dir():
            self._place, self._names = self._to, Names()
            return
        if to.endswith("/.") or (to.endswith("/") and self._to.exists()):
            raise LocalFiles(f"{to} is not a folder", path=to)
        if not self._to.parent.is_dir():
            raise LocalFiles(f"there is no folder {self._to.parent} here", path=to)
        self._place = self._to.parent
        self._names = Names(self._to.name, only_folder=to.endswith("/"))

    def unpack(self, read: Callable[[int], bytes]) -> None:
        """All that `read` gives, to its end.

        Raises:
            WharfsideError: what is wrong with it; nothing was changed.
            LocalFiles: it cannot be put there, or not all of it.
        """
        try:
            folder = Path(tempfile.mkdtemp(prefix=".wharfside-cp-", dir=self._place))
        except OSError as error:
            raise LocalFiles(f"{self._place}: {error.strerror}", path=str(self._place)) from error
        try:
            work = _Unpacking(folder, self._names, Incoming(read), self._note, self._keep_owner)
            work.run()
            _check(folder, self._place)
            _move(folder, self._place)
            self.made = work.made
        except OSError as error:
            raise LocalFiles(f"{error.filename or self._to}: {error.strerror}") from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)


class _Unpacking:
    """Into a folder that nobody else has; only what the archive says can be hostile."""

    def __init__(
        self, folder: Path, names: Names, stream: Incoming, note: Note, keep_owner: bool
    ) -> None:
        self._folder = folder
        self._names = names
        self._stream = stream
        self._note = note
        self._keep_owner = keep_owner and os.geteuid() == 0
        self._modes: dict[Parts, Member] = {}
        self.made = 0

    def run(self) -> None:
        while (member := next_member(self._stream.exactly)) is not None:
            self._add(member)
        self._stream.rest()
        for parts, member in reversed(self._modes.items()):
            fd = self._open(parts)
            try:
                self._dress(fd, member, 0o700)
            finally:
                os.close(fd)

    def _add(self, member: Member) -> None:
        refuse_devices(member)
        parts = self._names.of(member)
        self.made += 1
        if member.kind is Kind.FOLDER:
            if parts:
                os.close(self._open(parts))
                self._modes[parts] = member
            return
        if not parts:
            raise Invalid("the archive has a member without a name")
        parent = self._open(parts[:-1])
        try:
            with suppress(FileNotFoundError):
                os.unlink(parts[-1], dir_fd=parent)
            self._make(member, parent, parts)
        finally:
            os.close(parent)

    def _make(self, member: Member, parent: int, parts: Parts) -> None:
        match member.kind:
            case Kind.FILE:
                self._file(member, parent, parts[-1])
            case Kind.LINK:
                os.symlink(member.link, parts[-1], dir_fd=parent)
                if self._keep_owner:
                    ids = (member.uid, member.gid)
                    os.chown(parts[-1], *ids, dir_fd=parent, follow_symlinks=False)
            case Kind.HARD_LINK:
                first = self._names.of_link(member)
                other = self._open(first[:-1])
                try:
                    os.link(
                        *(first[-1], parts[-1]),
                        src_dir_fd=other,
                        dst_dir_fd=parent,
                        follow_symlinks=False,
                    )
                finally:
                    os.close(other)
            case _:
                self._note("/".join(parts), f"a {member.kind}: left out")

    def _file(self, member: Member, parent: int, name: str) -> None:
        file = os.open(name, _NEW_FILE, 0o600, dir_fd=parent)
        try:
            for offset, length in member.pieces:
                at = offset
                for data in self._stream.pieces(length):
                    at += _write(file, data, at)
            self._stream.exactly(padding(member.stored))
            os.ftruncate(file, member.size)
            self._dress(file, member, 0o600)
        finally:
            os.close(file)

    def _dress(self, fd: int, member: Member, least: int) -> None:
        if self._keep_owner:
            os.fchown(fd, member.uid, member.gid)
        os.fchmod(fd, member.mode & SAFE_MODE | least)
        os.utime(fd, (member.mtime, member.mtime))

    def _open(self, parts: Parts) -> int:
        """The folder, made where it is missing, part by part and through no link."""
        fd = os.open(self._folder, _FOLDER)
        for part in parts:
            try:
                with suppress(FileExistsError):
                    os.mkdir(part, 0o700, dir_fd=fd)
                inner = os.open(part, _FOLDER, dir_fd=fd)
            finally:
                os.close(fd)
            fd = inner
        return fd


def _write(file: int, data: bytes, offset: int) -> int:
    written = 0
    while written < len(data):
        written += os.pwrite(file, data[written:], offset + written)
    return written


def _check(folder: Path, place: Path) -> None:
    """
    Raises:
        AlreadyExists: a folder would replace something else, or be replaced; nothing was moved.
    """
    for path in folder.iterdir():
        target = place / path.name
        if not os.path.lexists(target):
            continue
        is_folder, was_folder = _is_folder(path), _is_folder(target)
        if is_folder != was_folder:
            raise clash(str(target), was_folder)
        if is_folder:
            _check(path, target)


def _move(folder: Path, place: Path) -> None:
    """By renames alone: each file is there whole, or not."""
    for path in folder.iterdir():
        target = place / path.name
        if _is_folder(path) and os.path.lexists(target):
            _move(path, target)
            shutil.copystat(path, target)
        else:
            path.replace(target)


def _is_folder(path: Path) -> bool:
    return stat.S_ISDIR(path.lstat().st_mode)
