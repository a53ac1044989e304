"""Tells conmon something through its control FIFO, one line at a time."""

from __future__ import annotations

import fcntl
import os
import struct
import termios
from pathlib import Path

REOPEN_LOG = b"2 0 0\n"


def tell(folder: Path, line: bytes) -> bool:
    """Writes `line` to the conmon whose bundle is `folder`. False: it has one to read yet.

    Where two lines wait, conmon (up to 2.2.1, ctrl.c) does the first of them twice.

    Raises:
        OSError: nobody reads it: conmon is over (ENXIO), or its folder is gone (ENOENT).
    """
    fifo = _opened(folder, "ctl")
    try:
        if _unread(fifo):
            return False
        os.write(fifo, line)
    finally:
        os.close(fifo)
    return True


def unread(folder: Path, name: str) -> int:
    """Bytes that conmon has not read yet from a FIFO of its bundle; raises as `tell`."""
    fifo = _opened(folder, name)
    try:
        return _unread(fifo)
    finally:
        os.close(fifo)


def _opened(folder: Path, name: str) -> int:
    return os.open(folder / name, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)


def _unread(fifo: int) -> int:
    answer = fcntl.ioctl(fifo, termios.FIONREAD, bytes(4))
    (count,) = struct.unpack("i", answer)
    return int(count)
