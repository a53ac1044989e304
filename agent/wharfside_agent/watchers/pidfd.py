"""What a pidfd knows of a process: that it is over, and on newer kernels exactly how."""

from __future__ import annotations

import fcntl
import os
import re
import select
import struct

from wharfside_agent.core.proc_text import STAT_BYTES, ProcStat, parse_stat
from wharfside_agent.ports.watcher import ProcessIdentity

# include/uapi/linux/pidfd.h: _IOWR(0xFF, 11, struct pidfd_info), of which the first 64
# bytes are asked for: u64 mask, u64 cgroupid, u32 x 11, s32 exit_code.
_INFO = struct.Struct("=QQ11Ii")
_GET_INFO = 3 << 30 | _INFO.size << 16 | 0xFF << 8 | 11
_INFO_EXIT = 1 << 3

_CORE_BIT = 0x80


def open_pidfd(identity: ProcessIdentity) -> tuple[int, int | None]:
    """A pidfd of exactly this process and its parent's pid; -1 where it is over and reaped.

    The start time is read after the pidfd was opened: if it is right then, the pidfd
    cannot be another process's.
    """
    try:
        fd = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        return -1, None
    stat = proc_stat(identity.pid)
    if stat is None or stat.start_time != identity.start_time:
        os.close(fd)
        return -1, None
    return fd, stat.parent


def proc_stat(pid: int) -> ProcStat | None:
    """None: no such process."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return parse_stat(os.read(fd, STAT_BYTES).decode(errors="replace"))
    except ProcessLookupError:
        return None
    finally:
        os.close(fd)


def is_over(fd: int) -> bool:
    """A pidfd can be read once its process is over, reaped or not (pidfd_open(2))."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))


def exit_info(fd: int) -> int | None:
    """The wait status of a process that is over and reaped, by anyone.

    None: not reaped yet, or a kernel before 6.15 (ioctl_pidfd(2), PIDFD_INFO_EXIT).
    """
    buffer = bytearray(_INFO.pack(_INFO_EXIT, *[0] * 13))
    try:
        fcntl.ioctl(fd, _GET_INFO, buffer)
    except OSError:
        return None
    mask, *_, status = _INFO.unpack(buffer)
    return status if mask & _INFO_EXIT else None


def reap(fd: int) -> int | None:
    """Reaps a child of this process that is over; its wait status, None if it is no child."""
    try:
        told = os.waitid(os.P_PIDFD, fd, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        return None
    if told is None:
        return None
    if told.si_code == os.CLD_EXITED:
        return told.si_status << 8
    return told.si_status | (_CORE_BIT if told.si_code == os.CLD_DUMPED else 0)


def kernel_tells_exits(release: str | None = None) -> bool:
    """Whether `exit_info` works on this kernel (of `uname -r`): since Linux 6.15."""
    version = re.match(r"(\d+)\.(\d+)", release or os.uname().release)
    return version is not None and tuple(map(int, version.groups())) >= (6, 15)
