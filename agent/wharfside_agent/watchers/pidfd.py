"""What a pidfd knows of a process: that it is over, and on newer kernels exactly how."""

from __future__ import annotations

import fcntl
import os
import re
import select
import struct
from functools import cache
from pathlib import Path

from wharfside_agent.ports.watcher import ProcessIdentity
from wharfside_agent.procs import proc_stat

# include/uapi/linux/pidfd.h: _IOWR(0xFF, 11, struct pidfd_info), of which the first 64
# bytes are asked for: u64 mask, u64 cgroupid, u32 x 11, s32 exit_code.
_INFO = struct.Struct("=QQ11Ii")
_GET_INFO = 3 << 30 | _INFO.size << 16 | 0xFF << 8 | 11
_INFO_EXIT = 1 << 3

_CORE_BIT = 0x80
_CAP_SYS_PTRACE = 19


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


def zombie_status(fd: int) -> int | None:
    """The wait status of a process that is over and not reaped yet; None: it is not such a one.

    pid 1 may take seconds to reap an orphan, and an agent that is killed meanwhile knows nothing
    in its next life. The pid is the process's own for as long as it is a zombie: asked for before
    and after.
    """
    pid = _pid_of(fd)
    stat = proc_stat(pid) if pid > 0 else None
    if stat is None or stat.state != "Z" or _pid_of(fd) != pid:
        return None
    return stat.exit_status if stat.exit_status or _may_trace() else None


def _pid_of(fd: int) -> int:
    """The pid of a pidfd's process; -1 once it is reaped (fdinfo, pidfd_open(2))."""
    with Path(f"/proc/self/fdinfo/{fd}").open() as lines:
        return next((int(line.split()[1]) for line in lines if line.startswith("Pid:")), -1)


@cache
def _may_trace() -> bool:
    """Without the capability a foreign zombie's status reads as 0, which it need not be."""
    status = Path("/proc/self/status").read_text()
    (effective,) = (line.split()[1] for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(effective, 16) >> _CAP_SYS_PTRACE & 1)


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
