"""Paths of callers: opened below the roots that the settings allow, through no symbolic link."""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from wharfside_protocol.errors import Denied, Invalid, NotFound, WharfsideError

_KNOWN_PATHS = 256
"""A bundle is named each time that a container is made of it, and a Path is slow to make."""

_PIN = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Pinned:
    """A path that was checked: `fd` (O_PATH) is the thing itself, whatever its name becomes."""

    path: Path
    fd: int

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(os.fstat(self.fd).st_mode)


@contextmanager
def plain_file(path: str, flags: int = 0, dir_fd: int | None = None) -> Iterator[int]:
    """Opens a plain file for reading, never a device or FIFO: that alone may act or hang.

    Raises:
        OSError: as open(2) has it; ELOOP for a link with O_NOFOLLOW, EINVAL for no plain file.
    """
    pin = os.open(path, os.O_PATH | os.O_CLOEXEC | flags, dir_fd=dir_fd)
    try:
        mode = os.fstat(pin).st_mode
        if stat.S_ISLNK(mode):
            raise OSError(errno.ELOOP, "it is a symbolic link")
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is not a plain file")
        with open(f"/proc/self/fd/{pin}", "rb", buffering=0) as file:  # noqa: PTH123 - a path
            yield file.fileno()
    finally:
        os.close(pin)


class Roots:
    """The folders below which callers may name paths. A root itself may be a link: it is ours."""

    def __init__(self, roots: Sequence[Path], rule: str) -> None:
        self._rule = rule
        self._roots = [(root, Path(os.path.realpath(root))) for root in roots]
        self._split = lru_cache(_KNOWN_PATHS)(self._split_now)

    @contextmanager
    def pinned(self, path: str, field: str) -> Iterator[Pinned]:
        """Opens `path` part by part; what is open is below the root for certain.

        Raises:
            Invalid: not absolute, with `..`, or through a file.
            Denied: below no root, or through a symbolic link.
            NotFound: it is not there.
        """
        root, below = self._split(path, field)
        with self._walked(root, below, field) as fd:
            yield Pinned(root / below, fd)

    def _split_now(self, path: str, field: str) -> tuple[Path, Path]:
        plain = Path(path)
        if not plain.is_absolute() or ".." in plain.parts or "\x00" in path:
            raise Invalid(f"{field} must be an absolute path without `..`", field=field, path=path)
        for named, real in self._roots:
            for root in (named, real):
                if plain.is_relative_to(root):
                    return real, plain.relative_to(root)
        allowed = ", ".join(str(named) for named, _ in self._roots)
        none = f"there are none (runtime.{self._rule.replace('-', '_')})"
        raise Denied(
            f"{field} {path} is below none of the node's allowed roots: {allowed or none}",
            rule=self._rule,
            field=field,
            path=path,
        )

    @contextmanager
    def _walked(self, root: Path, below: Path, field: str) -> Iterator[int]:
        seen = str(root)
        fd = self._open(seen, None, seen, field)
        try:
            for part in below.parts:
                seen = posixpath.join(seen, part)
                inner = self._open(part, fd, seen, field)
                os.close(fd)
                fd = inner
            yield fd
        finally:
            os.close(fd)

    def _open(self, name: str, parent: int | None, seen: str, field: str) -> int:
        try:
            fd = os.open(name, _PIN, dir_fd=parent)
        except OSError as error:
            raise _refused(error, seen, field) from error
        if stat.S_ISLNK(os.fstat(fd).st_mode):
            os.close(fd)
            raise Denied(
                f"{field}: {seen} is a symbolic link; name the path that it leads to",
                rule="no-symbolic-links",
                field=field,
                path=seen,
            )
        return fd


def _refused(error: OSError, seen: str, field: str) -> WharfsideError:
    facts = {"field": field, "path": seen}
    if error.errno == errno.ENOENT:
        return NotFound(f"{field}: there is no {seen} on this node", **facts)
    if error.errno in (errno.ENOTDIR, errno.ENAMETOOLONG):
        return Invalid(f"{field}: {seen}: {os.strerror(error.errno)}", **facts)
    return Denied(f"{field}: {seen}: {error.strerror}", rule="file-permissions", **facts)
