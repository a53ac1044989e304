"""What is there on the machine: processes, mounts, cgroups and descriptors, as the kernel tells."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil

MARK = "WHARFSIDE_LEAK_GATE"


def processes() -> set[psutil.Process]:
    """All processes; two are equal by pid and start time, because a pid may be used again.

    Not psutil.process_iter: its cache takes a reused pid for the process that had it before.
    """
    found = set()
    for pid in psutil.pids():
        with contextlib.suppress(psutil.NoSuchProcess):
            found.add(psutil.Process(pid))
    return found


def is_zombie(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def has_ended(process: psutil.Process) -> bool:
    """Gone, or a zombie that its parent has not reaped yet."""
    return not process.is_running() or is_zombie(process)


def describe(process: psutil.Process) -> str:
    try:
        return f"{process.pid} (parent {process.ppid()}) {' '.join(process.cmdline())}"
    except psutil.ZombieProcess:
        return f"{process.pid} (a zombie that nobody waited for)"
    except psutil.NoSuchProcess:
        return f"{process.pid} (gone meanwhile)"


def traces(pid: int) -> str:
    """Every text by which a process tells whose it is; empty for one that is gone.

    A container's init has neither our environment nor our paths in its arguments: its cgroup and
    its root directory name the test all the same.
    """
    parts = "\n".join(
        _read(Path(f"/proc/{pid}/{part}")) for part in ("cmdline", "environ", "cgroup")
    )
    return f"{parts}\n{_foreign_root(pid)}"


def _foreign_root(pid: int) -> str:
    """The mount that is a process's root, where that is not ours.

    No other line of its mountinfo: a namespace just made is a copy of ours, with our test's mounts.
    """
    if _namespace(str(pid)) == _namespace("self"):
        return ""
    lines = _read(Path(f"/proc/{pid}/mountinfo")).splitlines()
    return "\n".join(line for line in lines if mount_point(line) == "/")


def mounts() -> list[str]:
    """The lines of this process's mount namespace, in the order of mounting (mountinfo(5))."""
    return Path("/proc/self/mountinfo").read_text().splitlines()


def mount_point(line: str) -> str:
    # The kernel writes blanks in paths as octal escapes.
    return line.split()[4].encode().decode("unicode_escape")


def descriptors() -> dict[int, str]:
    """This process's open descriptors and what they lead to, but for the one used to look.

    Without 0 to 2, which pytest's capture exchanges when it likes.
    """
    found = {}
    for name in set(os.listdir("/proc/self/fd")) - {"0", "1", "2"}:  # noqa: PTH208 - names
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")  # noqa: PTH115
        except FileNotFoundError:
            continue
    return found


def cgroup_roots(path: str) -> Iterator[Path]:
    """The directory of the cgroup `path` in each hierarchy that has it (cgroups(7)).

    Runtimes read an absolute cgroupsPath from the hierarchy's root or from their own cgroup.
    """
    own = _own_cgroups()
    for hierarchy in _hierarchies():
        for base in {"/", *own}:
            directory = hierarchy / base.lstrip("/") / path.lstrip("/")
            if directory.is_dir():
                yield directory


def cgroups_below(root: Path) -> list[Path]:
    """`root` and all cgroups in it, the deepest first: the order in which they can be removed."""
    found = [root, *(Path(at) / name for at, names, _ in os.walk(root) for name in names)]
    return sorted(found, key=lambda directory: len(directory.parts), reverse=True)


def members(cgroup: Path) -> list[int]:
    """The processes in `cgroup` itself, without the one that asks."""
    pids = (int(pid) for pid in _read(cgroup / "cgroup.procs").split())
    return [pid for pid in pids if pid != os.getpid()]


def names_any(text: str, needles: Iterable[str]) -> bool:
    return any(needle in text for needle in needles)


def _hierarchies() -> list[Path]:
    kinds = {"cgroup", "cgroup2"}
    return [
        Path(mount_point(line)) for line in mounts() if line.split(" - ")[1].split()[0] in kinds
    ]


def _own_cgroups() -> set[str]:
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    return {line.split(":", 2)[2] for line in lines}


def _namespace(pid: str) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/mnt")  # noqa: PTH115
    except OSError:
        return ""


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
