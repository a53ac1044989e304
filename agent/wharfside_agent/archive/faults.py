"""An OSError about a path in a container, as it is told."""

from __future__ import annotations

import errno

from wharfside_agent.errors import DiskFull, OutOfDescriptors
from wharfside_protocol.errors import Busy, Denied, Invalid, NotFound, WharfsideError

_LINKS = {
    errno.ELOOP: "a link in it goes round, or leads through /proc out of the container",
    errno.EXDEV: "a link in it leads out of the folder; name the place that it leads to",
}


def refused(error: OSError, path: str) -> WharfsideError:
    """`path` as the caller knows it."""
    why, facts = error.strerror, {"path": path}
    match error.errno:
        case errno.ENOENT:
            return NotFound(f"there is no {path} in the container", **facts)
        case errno.ENOTDIR:
            return Invalid(f"{path} is not a folder, or leads through something else", **facts)
        case errno.ENAMETOOLONG:
            return Invalid(f"{path}: {why}", **facts)
        case errno.ELOOP | errno.EXDEV:
            return Denied(f"{path}: {_LINKS[error.errno]}", rule="links", **facts)
        case errno.EBUSY:
            return Denied(
                f"{path} is a mount point: write to it with `exec`", rule="mount", **facts
            )
        case errno.EROFS:
            return Denied(f"{path} is on a read-only file system", rule="read-only", **facts)
        case errno.EAGAIN:
            return Busy(f"{path}: the container renames its folders too busily: again", **facts)
        case errno.ENOSPC | errno.EDQUOT:
            return DiskFull()
        case errno.EMFILE | errno.ENFILE:
            return OutOfDescriptors()
        case _:
            return Denied(f"{path}: {why}", rule="file-permissions", **facts)
