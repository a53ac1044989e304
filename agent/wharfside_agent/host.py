"""Facts of this machine and this process: boot, lock, limits. Read or set once, at start."""

from __future__ import annotations

import fcntl
import os
import platform
import resource
import time
from pathlib import Path

from wharfside_agent.errors import AlreadyRunning, StartError
from wharfside_protocol.views import Resources

CPU_INFO = Path("/proc/cpuinfo")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class SystemClock:
    """See ports.clock.Clock."""

    def now(self) -> int:
        return time.time_ns()

    def boottime(self) -> int:
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def boot_id() -> str:
    return BOOT_ID.read_text().strip()


def lock_folder(lock: Path) -> int:
    """Takes the data folder for this process; the descriptor holds it until the process ends.

    Raises:
        AlreadyRunning: another process holds it.
        StartError: it cannot be made.
    """
    try:
        lock.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StartError(f"cannot use {lock.parent}: {error.strerror}; run as root?") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(fd, 32, 0).decode(errors="replace").strip() or "?"
        os.close(fd)
        raise AlreadyRunning(
            f"another agent (pid {holder}) works on {lock.parent}: stop it first"
        ) from error
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd


def lock_holder(lock: Path) -> int | None:
    """The pid of the agent that has the data folder; None where none has."""
    try:
        fd = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.pread(fd, 32, 0).decode(errors="replace").strip()
        return int(pid) if pid.isdigit() else None
    else:
        return None
    finally:
        os.close(fd)


def raise_file_limit() -> None:
    """Each container takes a few descriptors: use all that the hard limit allows."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def resources() -> Resources:
    """What the machine has: memory, CPUs, and as many processes as the kernel takes (proc(5))."""
    most = (int(Path("/proc/sys/kernel", name).read_text()) for name in ("pid_max", "threads-max"))
    cpus = os.cpu_count() or 1
    return Resources(memory_bytes=memory_bytes(), cpu_percent=100 * cpus, pids=min(most))


def kernel() -> str:
    return platform.release()


def architecture() -> str:
    return platform.machine()


def cpu_features() -> tuple[str, ...]:
    """The `flags` of the first CPU (proc_cpuinfo(5)); none where the kernel names none."""
    for line in CPU_INFO.read_text(errors="replace").splitlines():
        if line.startswith(("flags", "Features")):
            return tuple(line.partition(":")[2].split())
    return ()
