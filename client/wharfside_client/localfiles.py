"""Files of this side as a tar stream: what a copy into a container sends."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from wharfside_client.errors import LocalFiles
from wharfside_protocol.tar_headers import END
from wharfside_protocol.tar_members import BLOCK, padding

CHUNK = 256 * 1024

Note = Callable[[str, str], None]
"""Is told of a path that is left out, and why."""


@dataclass(frozen=True, slots=True)
class LocalTree:
    """What is copied from here.

    Attributes:
        path: a file, folder or link.
        name: what the archive calls it; `.` where the contents of a folder are meant.
        keep_owner: numeric owners go along; else all belongs to root, as docker says.
    """

    path: Path
    name: str
    keep_owner: bool = False

    @classmethod
    def of(cls, text: str, *, follow: bool = False, keep_owner: bool = False) -> LocalTree:
        """What an operator writes: `/.` at the end means a folder's contents, `/` a folder.

        Raises:
            LocalFiles: it is not there, or no folder.
        """
        path = Path(text)
        if not os.path.lexists(path):
            raise LocalFiles(f"there is no {text} here", path=text)
        if text.endswith(("/", "/.")) and not path.is_dir():
            raise LocalFiles(f"{text} is not a folder", path=text)
        base = text.rstrip("/").rpartition("/")[2]
        if follow or text.endswith("/") or base in (".", ".."):
            path = path.resolve()
        name = "." if base in ("", ".") else Path(os.path.abspath(text)).name  # noqa: PTH100 - a link keeps its name
        return cls(path, name or ".", keep_owner)

    def size(self) -> int:
        """About the length of the stream.

        Raises:
            LocalFiles: something cannot be read.
        """
        total = len(END)
        with self._told():
            for path, _ in _walk(self.path, self.name):
                facts = path.lstat()
                data = facts.st_size if stat.S_ISREG(facts.st_mode) else 0
                total += BLOCK + data + padding(data)
        return total

    def stream(self, note: Note) -> Iterator[bytes]:
        """Its tar, piece by piece; devices and sockets are left out.

        Raises:
            LocalFiles: something cannot be read, or is cut while it is read.
        """
        pending = bytearray()
        for piece in self._members(note):
            pending += piece
            if len(pending) >= CHUNK:
                yield bytes(pending)
                pending.clear()
        yield bytes(pending)

    def _members(self, note: Note) -> Iterator[bytes]:
        with self._told(), tarfile.TarFile(fileobj=io.BytesIO(), mode="w") as names:
            for path, name in _walk(self.path, self.name):
                info = names.gettarinfo(path, name)
                if info is None or (info.isdev() and not info.isfifo()):
                    note(str(path), "a device or a socket: left out")
                else:
                    yield from self._member(path, info)
        yield END

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise LocalFiles(f"{error.filename or self.path}: {error.strerror}") from error

    def _member(self, path: Path, info: tarfile.TarInfo) -> Iterator[bytes]:
        info.uname = info.gname = ""
        info.mtime = int(info.mtime)
        if not self.keep_owner:
            info.uid = info.gid = 0
        yield info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
        if info.isreg():
            with path.open("rb") as file:
                yield from _data(file, info.size, path)
            yield bytes(padding(info.size))


def _data(file: io.BufferedReader, left: int, path: Path) -> Iterator[bytes]:
    while left:
        data = file.read(min(left, CHUNK))
        if not data:
            raise LocalFiles(f"{path} shrank while it was read: copy it again", path=str(path))
        left -= len(data)
        yield data


def _walk(top: Path, name: str) -> Iterator[tuple[Path, str]]:
    """Each path with its name in the archive; a folder before what is in it."""
    waiting = [(top, name)]
    while waiting:
        path, name = waiting.pop()
        yield path, name
        if path.is_dir() and not path.is_symlink():
            waiting += [(inner, f"{name}/{inner.name}") for inner in sorted(path.iterdir())]
