"""Where in a container an archive comes from or goes to; as docker cp has it."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

from wharfside_agent.archive.faults import refused
from wharfside_agent.archive.openat import closing, file_system, open_in_root
from wharfside_protocol.errors import Denied, Invalid

MAX_LINKS = 40
"""As the kernel has it."""

_PIN = os.O_PATH
_PIN_FOLDER = os.O_PATH | os.O_DIRECTORY


@dataclass(frozen=True, slots=True)
class Origin:
    """`fd` (O_PATH) is the thing itself; `name` as the archive calls it."""

    fd: int
    name: str
    folder: bool


@dataclass(frozen=True, slots=True)
class Goal:
    """`fd`: the folder to unpack in. `rename`: what the archive's root is called there.

    `only_folder`: the path ended with a slash, so that a file cannot become it.
    """

    fd: int
    name: str
    rename: str | None = None
    only_folder: bool = False


def origin(root: int, path: str, *, follow: bool) -> Origin:
    """
    Raises:
        NotFound, Denied, Invalid, Unsupported: `path` cannot be read.
    """
    flags = _PIN if follow else _PIN | os.O_NOFOLLOW
    fd = _opened(root, path, flags)
    try:
        _check_kind(fd, path)
        folder = stat.S_ISDIR(os.fstat(fd).st_mode)
        return Origin(fd, _name_of(path), folder)
    except BaseException:
        os.close(fd)
        raise


def goal(root: int, path: str) -> Goal:
    """
    Raises:
        NotFound, Denied, Invalid, Unsupported: nothing can be unpacked at `path`.
    """
    wants_folder = path.endswith(("/", "/."))
    path = _through_links(root, path)
    name = path.rstrip("/").rpartition("/")[2]
    try:
        fd = open_in_root(root, path, _PIN_FOLDER)
    except (FileNotFoundError, NotADirectoryError) as error:
        if name in ("", ".", ".."):
            raise refused(error, path) from error
        return _beside(root, path, name, only_folder=wants_folder)
    except OSError as error:
        raise refused(error, path) from error
    return _checked(Goal(fd, name), path)


def _beside(root: int, path: str, name: str, *, only_folder: bool) -> Goal:
    """`path` is a file, or not there: it is replaced, or made, in its folder."""
    parent = path.rstrip("/").rpartition("/")[0] + "/"
    fd = _opened(root, parent, _PIN_FOLDER)
    try:
        mode = os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return _checked(Goal(fd, name, name, only_folder), parent)
    except OSError as error:
        os.close(fd)
        raise refused(error, path) from error
    if only_folder:
        os.close(fd)
        raise Invalid(f"{path} is not a folder", path=path)
    if not stat.S_ISREG(mode):
        os.close(fd)
        raise Denied(f"{path} is no plain file: it is not replaced", rule="plain-files", path=path)
    return _checked(Goal(fd, name, name), path)


def _through_links(root: int, path: str) -> str:
    """`path`, or where the link at its end leads to, which need not be there yet."""
    for _ in range(MAX_LINKS):
        plain = path.rstrip("/")
        try:
            fd = open_in_root(root, plain or "/", _PIN | os.O_NOFOLLOW)
        except OSError:
            return path
        with closing(fd):
            if not stat.S_ISLNK(os.fstat(fd).st_mode):
                return path
            target = os.readlink("", dir_fd=fd)
        path = target if target.startswith("/") else f"{plain.rpartition('/')[0]}/{target}"
    raise Denied(f"{path}: too many links", rule="links", path=path)


def _opened(root: int, path: str, flags: int) -> int:
    try:
        return open_in_root(root, path, flags)
    except OSError as error:
        raise refused(error, path) from error


def _checked(found: Goal, path: str) -> Goal:
    try:
        _check_kind(found.fd, path)
    except BaseException:
        os.close(found.fd)
        raise
    return found


def _check_kind(fd: int, path: str) -> None:
    mode = os.fstat(fd).st_mode
    kind = None if stat.S_ISLNK(mode) else file_system(fd).pseudo
    if kind is not None:
        raise Denied(
            f"{path} is the kernel's own ({kind}): use `exec`", rule="pseudo-files", path=path
        )
    if stat.S_ISSOCK(mode) or stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        raise Denied(f"{path} is a device or a socket", rule="plain-files", path=path)


def _name_of(path: str) -> str:
    """As docker's archives have it: of `/a/b` or `/a/b/` it is `b`, of `/a/b/.` and `/` it is `.`

    `..` has no name that could be known, so it is `.`, too.
    """
    name = path.rstrip("/").rpartition("/")[2]
    return "." if name in ("", ".", "..") else name
