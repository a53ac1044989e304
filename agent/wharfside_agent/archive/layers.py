"""A container's writable layer as Podman's export has it: what is new or changed as a tar, what
is gone as a list. Blocking: for a thread.

An overlay's own marks (whiteouts, opaque folders) stay here: the list tells what they hide, and
on the other side they are made anew.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from wharfside_agent.archive.faults import refused
from wharfside_agent.archive.notes import Notes
from wharfside_agent.archive.openat import FOLDER, closing, open_beneath
from wharfside_agent.archive.packing import Packing
from wharfside_agent.archive.places import Goal
from wharfside_agent.archive.tree import Found
from wharfside_agent.archive.unpacking import Unpacking
from wharfside_protocol.archive_names import parts_of
from wharfside_protocol.errors import Invalid, Unsupported
from wharfside_protocol.tar_headers import Facts
from wharfside_protocol.tar_members import MAX_NAME_BYTES, Member
from wharfside_protocol.tar_stream import Incoming

KEPT_FREE = 64 * 1024 * 1024
"""Bytes left on a file system: its full disk would be everybody's trouble."""

MAX_DELETED = 200_000
MAX_LIST_BYTES = 64 * 1024 * 1024
MAX_ATTRIBUTES = 16 * 1024
"""Bytes of one file's extended attributes; a tar header carries no more."""

_OPAQUE = "trusted.overlay.opaque"
_TOO_CLEVER = ("trusted.overlay.redirect", "trusted.overlay.metacopy")
_NOTHING_THERE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EXDEV}


class LayerPacking(Packing):
    """The tar of `upper`. Attributes: `deleted`, absolute in the container."""

    def __init__(
        self, upper: int, lower: int, out: Callable[[bytes | memoryview], None], notes: Notes
    ) -> None:
        super().__init__(upper, ".", out, notes)
        self._upper = upper
        self._lower = lower
        self.deleted: list[str] = []

    def _add(self, found: Found) -> None:
        if stat.S_ISCHR(found.stat.st_mode) and found.stat.st_rdev == 0:
            self._gone(found.path)
            return
        if stat.S_ISDIR(found.stat.st_mode) or stat.S_ISREG(found.stat.st_mode):
            self._look_through(found)
        super()._add(found)

    def _look_through(self, found: Found) -> None:
        names = os.listxattr(f"/proc/self/fd/{found.pin}")
        if clever := [name for name in _TOO_CLEVER if name in names]:
            raise Unsupported(
                f"the writable layer cannot be carried: {found.path} has {clever[0]}, which "
                "stands for files of the lower one (mount options redirect_dir, metacopy)"
            )
        if _OPAQUE in names and os.getxattr(f"/proc/self/fd/{found.pin}", _OPAQUE) == b"y":
            self._hidden(found.path)

    def _hidden(self, path: str) -> None:
        """All that the lower layer has in an opaque folder, and the upper one has not."""
        waiting = [path]
        while waiting:
            below = waiting.pop()
            for name, lower_folder in _names(self._lower, below):
                inner = f"{below}/{name}" if below else name
                upper_folder = _is_folder(self._upper, inner)
                if upper_folder is None:
                    self._gone(inner)
                elif upper_folder and lower_folder:
                    waiting.append(inner)

    def _gone(self, path: str) -> None:
        self.deleted.append(f"/{path}")
        if len(self.deleted) > MAX_DELETED:
            raise Unsupported(f"more than {MAX_DELETED} files of the rootfs are deleted")

    def _facts(self, found: Found) -> Facts:
        facts = super()._facts(found)
        if not stat.S_ISREG(found.stat.st_mode):
            return facts
        path, kept = f"/proc/self/fd/{found.pin}", {}
        for name in os.listxattr(path):
            if _is_carried(name):
                with suppress(OSError):
                    kept[name] = os.getxattr(path, name)
        if sum(len(name) + len(value) for name, value in kept.items()) > MAX_ATTRIBUTES:
            self.notes.add(found.path, "its extended attributes are too large: left out")
            return facts
        return Facts(facts.mode, facts.uid, facts.gid, facts.mtime, kept)


class LayerUnpacking(Unpacking):
    """Into a fresh upper folder, which no container uses yet."""

    def _top_itself(self, member: Member) -> None:
        with closing(open_beneath(self._top, ".", FOLDER)) as top:
            os.fchown(top, member.uid, member.gid)
            os.fchmod(top, member.mode)
            os.utime(top, (member.mtime, member.mtime))

    def _attributes(self, file: int, member: Member) -> None:
        for name, value in member.xattrs.items():
            if _is_carried(name):
                os.setxattr(file, name, value)

    def hide(self, deleted: Sequence[str]) -> None:
        """Makes a whiteout of each.

        Raises:
            Invalid: one is in the archive, too, or in no folder of it.
        """
        for path in deleted:
            parts = parts_of(path)
            try:
                with closing(
                    open_beneath(self._top, "/".join(parts[:-1]) or ".", FOLDER)
                ) as folder:
                    os.mknod(parts[-1], stat.S_IFCHR, os.makedev(0, 0), dir_fd=folder)
            except (IndexError, FileNotFoundError, FileExistsError, NotADirectoryError) as error:
                raise Invalid(
                    f"the image deletes {path[:256]!r}, which does not fit its rootfs-diff.tar"
                ) from error
            except OSError as error:
                raise refused(error, path) from error
        self._folders.finish()


def save(upper: int, lower: int, tar: Path, deleted: Path, wrote: Callable[[int], None]) -> Notes:
    """`wrote` hears how many bytes went out, and may raise to end it.

    Raises:
        Unsupported, WharfsideError: something cannot be carried; what was written is removed.
    """
    notes = Notes()
    with tar.open("xb") as file:

        def out(data: bytes | memoryview) -> None:
            file.write(data)
            wrote(len(data))

        packing = LayerPacking(upper, lower, out, notes)
        packing.run()
    deleted.write_bytes(msgspec.json.encode(sorted(map(_printable, packing.deleted))))
    return notes


def load(
    tar: Path, deleted: Path, upper: int, wrote: Callable[[int], None], kept_free: int = KEPT_FREE
) -> None:
    """
    Raises:
        Invalid, Denied, DiskFull: the layer is not what a container could have written.
    """
    with tar.open("rb") as file:

        def more(most: int) -> bytes:
            data = file.read(most)
            wrote(len(data))
            return data

        unpacking = LayerUnpacking(Goal(upper, "."), Incoming(more), kept_free)
        unpacking.run()
    unpacking.hide(_deleted(deleted))


def _deleted(path: Path) -> list[str]:
    """Absent: nothing was."""
    try:
        if path.stat().st_size > MAX_LIST_BYTES:
            raise Invalid(f"{path.name} is too large")
        paths = msgspec.json.decode(path.read_bytes(), type=list[str] | None) or []
    except FileNotFoundError:
        return []
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Invalid(f"{path.name} is no list of paths: {error}") from error
    if len(paths) > MAX_DELETED or any(
        len(each) > MAX_NAME_BYTES or "\0" in each for each in paths
    ):
        raise Invalid(f"{path.name} has more, or longer, paths than a container could have deleted")
    return paths


def _is_carried(name: str) -> bool:
    return name == "security.capability" or name.startswith("user.")


def _printable(path: str) -> str:
    """JSON has no bytes: a name that is no UTF-8 is refused, rather than another one deleted."""
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise Unsupported(f"the name of a deleted file is no UTF-8: {path!r}") from error
    return path


def _names(top: int, path: str) -> Iterator[tuple[str, bool]]:
    """(name, whether it is a folder) of what is in a folder; nothing where there is none."""
    try:
        folder = open_beneath(top, path or ".", FOLDER)
    except OSError as error:
        if error.errno in _NOTHING_THERE:
            return
        raise refused(error, path) from error
    with closing(folder), os.scandir(folder) as entries:
        for entry in entries:
            yield entry.name, entry.is_dir(follow_symlinks=False)


def _is_folder(top: int, path: str) -> bool | None:
    """None: there is nothing of that name."""
    try:
        with closing(open_beneath(top, path, os.O_PATH | os.O_NOFOLLOW)) as pin:
            return stat.S_ISDIR(os.fstat(pin).st_mode)
    except OSError as error:
        if error.errno in _NOTHING_THERE:
            return None
        raise refused(error, path) from error
