"""openat2(2) and fstatfs(2): the kernel itself keeps a path below a folder.

No check by hand could: a process in the container may swap a folder for a link at any moment.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from wharfside_protocol.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Iterator

_SYS_OPENAT2 = 437  # the same on every architecture that Python's wheels know
_AT_FDCWD = -100

_NO_MAGICLINKS = 0x02
_NO_SYMLINKS = 0x04
_BENEATH = 0x08
_IN_ROOT = 0x10

TRIES = 128
"""The kernel answers EAGAIN where `..` meets a rename anywhere on the machine (openat2(2))."""

FOLDER = os.O_RDONLY | os.O_DIRECTORY

_PSEUDO = {
    0x9FA0: "proc",
    0x62656572: "sysfs",
    0x27E0EB: "cgroup",
    0x63677270: "cgroup2",
    0x1CD1: "devpts",
    0x64626720: "debugfs",
    0x74726163: "tracefs",
    0x73636673: "securityfs",
    0xCAFE4A11: "bpf",
    0x62656570: "configfs",
    0x6165676C: "pstore",
    0xDE5E81E4: "efivarfs",
    0x19800202: "mqueue",
    0x42494E4D: "binfmt_misc",
    0xF97CFF8C: "selinuxfs",
    0x6E736673: "nsfs",
}
"""linux/magic.h: files of these are the kernel's own words; to copy them makes no sense."""


class _OpenHow(ctypes.Structure):
    _fields_ = [("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64)]


class _Statfs(ctypes.Structure):
    """struct statfs of the 64-bit architectures."""

    _fields_ = [
        ("type", ctypes.c_long),
        ("bsize", ctypes.c_long),
        ("blocks", ctypes.c_ulong),
        ("bfree", ctypes.c_ulong),
        ("bavail", ctypes.c_ulong),
        ("files", ctypes.c_ulong),
        ("ffree", ctypes.c_ulong),
        ("rest", ctypes.c_long * 9),
    ]


_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc.fstatfs.argtypes = (ctypes.c_int, ctypes.POINTER(_Statfs))


@dataclass(frozen=True, slots=True)
class FileSystem:
    """`pseudo`: its name, where it is one of the kernel's own. `nodes`: None, no limit."""

    pseudo: str | None
    free: int
    nodes: int | None


def open_in_root(root: int, path: str, flags: int) -> int:
    """Opens `path` as a process whose root is `root` would, links and all.

    Raises:
        OSError: as open(2); ELOOP also for a link of /proc that leads elsewhere.
        Unsupported: the kernel is too old.
    """
    return _open(root, path, flags, _IN_ROOT | _NO_MAGICLINKS)


def open_beneath(folder: int, path: str, flags: int, *, links: bool = False) -> int:
    """Opens what is below `folder`; with `links` also through links that stay below it.

    Raises:
        OSError: as open(2); EXDEV: it would lead out of `folder`; ELOOP: a link.
        Unsupported: the kernel is too old.
    """
    resolve = _BENEATH | _NO_MAGICLINKS | (0 if links else _NO_SYMLINKS)
    return _open(folder, path, flags, resolve)


def file_system(fd: int) -> FileSystem:
    """Raises OSError."""
    found = _Statfs()
    if _libc.fstatfs(fd, ctypes.byref(found)) != 0:
        raise _failed("statfs")
    nodes = found.ffree if found.files else None  # btrfs has no limit, and says 0
    return FileSystem(_PSEUDO.get(found.type & 0xFFFFFFFF), int(found.bavail * found.bsize), nodes)


@contextmanager
def closing(fd: int) -> Iterator[int]:
    """`fd`, closed at the end."""
    try:
        yield fd
    finally:
        os.close(fd)


def _open(folder: int, path: str, flags: int, resolve: int) -> int:
    _require_openat2()
    for _ in range(TRIES - 1):
        try:
            return _openat2(folder, path, flags, resolve)
        except BlockingIOError:
            continue
    return _openat2(folder, path, flags, resolve)


def _openat2(folder: int, path: str, flags: int, resolve: int) -> int:
    how = _OpenHow(flags | os.O_CLOEXEC, 0, resolve)
    fd: int = _libc.syscall(
        ctypes.c_long(_SYS_OPENAT2),
        ctypes.c_int(folder),
        ctypes.c_char_p(os.fsencode(path)),
        ctypes.byref(how),
        ctypes.c_size_t(ctypes.sizeof(how)),
    )
    if fd < 0:
        raise _failed(path)
    return fd


def _failed(path: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), path)


@cache
def _require_openat2() -> None:
    """A system call filter around the agent's own container may say EPERM in place of ENOSYS."""
    try:
        os.close(_openat2(_AT_FDCWD, "/", os.O_PATH, _NO_MAGICLINKS))
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EPERM):
            raise
        raise Unsupported(
            f"files are copied only where the kernel has openat2 (Linux 5.6; this is "
            f"{platform.release()}, and answers {error.strerror}): use `exec` with tar, or "
            "give the node a newer kernel, and the agent's own container a newer seccomp profile"
        ) from error
