"""How much freed memory stays with the process instead of going back to the kernel at once.

glibc gives back what is free at the end of its heap beyond 128 KiB, and each frame of output in
bulk is as large: 50 pages a MiB were faulted in again, and cleared each time.
"""

from __future__ import annotations

import ctypes

KEPT_BYTES = 8 * 1024 * 1024
"""Four of the windows that a session may have."""

MAPPED_BYTES = 2 * 1024 * 1024
"""From here on a block is mapped by itself, and goes back as soon as it is freed."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h


def keep_freed() -> None:
    """For a program of ours alone: it is the whole process's (mallopt(3)). Not glibc: nothing."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)
        mallopt(_M_MMAP_THRESHOLD, MAPPED_BYTES)
