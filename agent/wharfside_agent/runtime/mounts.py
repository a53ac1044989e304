"""Mounts by mount(2) itself: mount(8) would cost a process a container."""

from __future__ import annotations

import ctypes
import errno
import os
import re
from pathlib import Path

from wharfside_protocol.errors import RuntimeFailed

_MOUNTS = Path("/proc/self/mountinfo")
_ESCAPED = re.compile(rb"\\([0-7]{3})")
_MNT_DETACH = 2
_UMOUNT_NOFOLLOW = 8

MAX_STACKED = 16
"""Mounts one over the other on one folder that `unmount` lifts; we make one."""

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = (
    *(ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p),
    *(ctypes.c_ulong, ctypes.c_char_p),
)
_libc.umount2.argtypes = (ctypes.c_char_p, ctypes.c_int)


def mount_overlay(lower: int, upper: Path, work: Path, target: Path) -> None:
    """Mounts an overlay on `target`. `lower` is an open folder: the one that was checked.

    The folders go by /proc/self/fd: no name to be replaced in between, no commas and
    colons to escape, and no page-sized limit on their paths (mount(2), `data`).

    Raises:
        RuntimeFailed: the kernel would not, in its words.
    """
    opened: list[int] = []
    try:
        for folder in (upper, work):
            opened.append(os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW))
        names = zip(("lowerdir", "upperdir", "workdir"), (lower, *opened), strict=True)
        options = ",".join(f"{name}=/proc/self/fd/{fd}" for name, fd in names)
        _mount("overlay", target, "overlay", options)
    finally:
        for fd in opened:
            os.close(fd)


def unmount(target: Path) -> bool:
    """Lifts what is mounted on `target`, busy or not; True if there was something.

    Raises:
        RuntimeFailed: the kernel would not, in its words.
    """
    for lifted in range(MAX_STACKED):
        if _libc.umount2(os.fsencode(target), _MNT_DETACH | _UMOUNT_NOFOLLOW) == 0:
            continue
        number = ctypes.get_errno()
        if number in (errno.EINVAL, errno.ENOENT):  # not a mount point; not there
            return lifted > 0
        raise _failed(number, f"{target} cannot be unmounted")
    raise RuntimeFailed(f"more than {MAX_STACKED} mounts on {target}", path=str(target))


def unmount_below(folder: Path) -> None:
    """Lifts every mount in `folder`, the innermost first: what a killed CRIU or runc leaves.

    Nothing may be removed from there before: it would be removed from what is mounted, which may be
    the container's own files.

    Raises:
        RuntimeFailed: the kernel would not, in its words.
    """
    top = os.fsencode(os.path.realpath(folder)) + b"/"
    for line in reversed(_MOUNTS.read_bytes().splitlines()):
        target = _ESCAPED.sub(lambda found: bytes([int(found.group(1), 8)]), line.split(b" ")[4])
        if target.startswith(top):
            unmount(Path(os.fsdecode(target)))


def _mount(source: str, target: Path, kind: str, options: str) -> None:
    words = (source.encode(), os.fsencode(target), kind.encode(), 0, options.encode())
    if _libc.mount(*words) != 0:
        raise _failed(
            ctypes.get_errno(),
            f"no overlay on {target}: its layer needs a file system that can carry one "
            "(ext4, xfs, tmpfs); or ask for source.readonly",
        )


def _failed(number: int, what: str) -> RuntimeFailed:
    return RuntimeFailed(f"{what}: {os.strerror(number)}", errno=number)
