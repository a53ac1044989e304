"""Unpacks a tar stream below a folder of a container, whose processes may do what they will.

Every name is resolved by the kernel at the moment of writing (openat.py). What is made gets its
name by a rename once it is whole: no device, FIFO or mounted file that was there is written to,
and no half of a file ever bears its name.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from wharfside_agent.archive.faults import refused
from wharfside_agent.archive.folders import Folders
from wharfside_agent.archive.openat import closing, file_system
from wharfside_agent.archive.places import Goal
from wharfside_agent.errors import DiskFull
from wharfside_protocol.archive_names import Names, Parts, clash, refuse_devices
from wharfside_protocol.errors import Denied, Invalid, WharfsideError
from wharfside_protocol.tar_members import Kind, Member, next_member, padding
from wharfside_protocol.tar_stream import Incoming

KEPT_NODES = 1024

_CHECKED_EVERY = 16 * 1024 * 1024


class Unpacking:
    """
    `kept_free`: bytes left on a file system, whose full disk would be everybody's trouble.

    Attributes:
        made: files, folders and links that are whole and bear their names.
        written: bytes of files.
    """

    def __init__(self, goal: Goal, stream: Incoming, kept_free: int) -> None:
        self._top = goal.fd
        self._names = Names(goal.rename, goal.only_folder)
        self._stream = stream
        self._kept_free = kept_free
        self._folders = Folders(goal.fd)
        self._mark = f".wharfside-cp-{secrets.token_hex(8)}"
        self.made = 0
        self.written = 0

    def run(self) -> None:
        """
        Raises:
            WharfsideError: what is wrong; its details tell what was written before.
        """
        member: Member | None = None
        try:
            while (member := next_member(self._stream.exactly)) is not None:
                self._add(member)
            self._stream.rest()
            self._folders.finish()
        except WharfsideError as error:
            error.details |= {"made": self.made, "written": self.written}
            if member is not None:
                error.details["member"] = member.name.encode(errors="replace").decode()
            raise

    def _add(self, member: Member) -> None:
        refuse_devices(member)
        parts = self._names.of(member)
        if not parts:
            if member.kind is not Kind.FOLDER:
                raise Invalid("the archive has a member without a name")
            self._top_itself(member)
            return
        with closing(self._folders.open(parts[:-1])) as parent:
            self._check_room(parent)
            if member.kind is Kind.FOLDER:
                self._folders.make(parent, parts, member)
            else:
                with self._named(parent, parts) as temporary:
                    self._make(member, parent, temporary)
                if member.kind is Kind.HARD_LINK:
                    self._unmark(parent)  # rename(2) does nothing between two names of one file
        self.made += 1

    def _top_itself(self, member: Member) -> None:
        """`./`: the folder stays as it is."""

    @contextmanager
    def _named(self, parent: int, parts: Parts) -> Iterator[str]:
        """A name for what is made meanwhile; then it gets its own, or is removed again."""
        name, path = parts[-1], "/".join(parts)
        try:
            yield self._mark
            os.rename(self._mark, name, src_dir_fd=parent, dst_dir_fd=parent)
        except OSError as error:
            self._unmark(parent)
            if error.errno == errno.EISDIR:
                raise clash(path, is_folder=True) from error
            raise refused(error, path) from error
        except BaseException:
            self._unmark(parent)
            raise

    def _unmark(self, parent: int) -> None:
        with suppress(OSError):
            os.unlink(self._mark, dir_fd=parent)

    def _make(self, member: Member, parent: int, name: str) -> None:
        match member.kind:
            case Kind.FILE:
                self._file(member, parent, name)
                return
            case Kind.HARD_LINK:
                self._hard_link(member, parent, name)
                return
            case Kind.LINK:
                os.symlink(member.link, name, dir_fd=parent)
            case Kind.FIFO:
                os.mkfifo(name, 0o600, dir_fd=parent)
                os.chown(name, member.uid, member.gid, dir_fd=parent, follow_symlinks=False)
                _chmod(parent, name, member.mode)
            case _:
                raise AssertionError(member.kind)
        os.chown(name, member.uid, member.gid, dir_fd=parent, follow_symlinks=False)
        times = (member.mtime, member.mtime)
        os.utime(name, times, dir_fd=parent, follow_symlinks=False)

    def _file(self, member: Member, parent: int, name: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with closing(os.open(name, flags, 0o600, dir_fd=parent)) as file:
            for offset, length in member.pieces:
                self._data(file, offset, length)
            self._stream.exactly(padding(member.stored))
            os.ftruncate(file, member.size)
            os.fchown(file, member.uid, member.gid)
            os.fchmod(file, member.mode)  # after chown, which takes setuid away
            self._attributes(file, member)
            os.utime(file, (member.mtime, member.mtime))

    def _attributes(self, file: int, member: Member) -> None:
        """Extended ones are left out, as docker cp does."""

    def _data(self, file: int, offset: int, length: int) -> None:
        unchecked = 0
        for data in self._stream.pieces(length):
            written = 0
            while written < len(data):
                written += os.pwrite(file, data[written:], offset + written)
            offset += len(data)
            self.written += len(data)
            unchecked += len(data)
            if unchecked >= _CHECKED_EVERY:
                unchecked = 0
                self._check_room(file)

    def _hard_link(self, member: Member, parent: int, name: str) -> None:
        parts = self._names.of_link(member)
        if not parts:
            raise Invalid(f"the archive has a hard link {member.name!r} to nothing")
        with closing(self._folders.open(parts[:-1])) as other:
            if _is_folder(other, parts[-1]):
                raise Invalid(f"the archive has a hard link {member.name!r} to a folder")
            os.link(parts[-1], name, src_dir_fd=other, dst_dir_fd=parent, follow_symlinks=False)

    def _check_room(self, fd: int) -> None:
        found = file_system(fd)
        if found.pseudo is not None:
            raise Denied(
                f"a part of the archive would go into the kernel's own files ({found.pseudo})",
                rule="pseudo-files",
            )
        if found.free < self._kept_free or (found.nodes or KEPT_NODES) < KEPT_NODES:
            raise DiskFull()


def _is_folder(parent: int, name: str) -> bool:
    with suppress(FileNotFoundError):
        return stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
    return False


def _chmod(parent: int, name: str, mode: int) -> None:
    """Of exactly this thing: chmod(2) by its name would follow a link that took its place."""
    pin = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    with closing(pin):
        if stat.S_ISFIFO(os.fstat(pin).st_mode):
            Path(f"/proc/self/fd/{pin}").chmod(mode)
