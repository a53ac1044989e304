"""What the kernel says of a container: the outcomes that the contract rows assert."""

from __future__ import annotations

import os
import select
import signal
from pathlib import Path

from wharfside_agent.core.cgroup_paths import CgroupMounts
from wharfside_agent.core.placement import Places
from wharfside_agent.core.proc_text import parse_stat
from wharfside_agent.ports.runtime import Container

_FILES = {
    "memory": ("memory", "memory.limit_in_bytes", "memory.max"),
    "pids": ("pids", "pids.max", "pids.max"),
    "cpu_weight": ("cpu", "cpu.shares", "cpu.weight"),
    "oom": ("memory", "memory.oom_control", "memory.events"),
}


class Kernel:
    """One machine's /proc, mounts and cgroups."""

    def __init__(self, places: Places, mounts: CgroupMounts) -> None:
        self._places = places
        self._mounts = mounts

    def lives(self, pid: int) -> bool:
        """There is such a process, and it is no zombie."""
        try:
            return parse_stat(Path(f"/proc/{pid}/stat").read_text()).state not in "ZX"
        except (FileNotFoundError, ProcessLookupError):
            return False

    def command(self, pid: int) -> list[str]:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return [word.decode() for word in words if word]

    def namespace(self, pid: int, kind: str) -> str:
        return str(Path(f"/proc/{pid}/ns/{kind}").readlink())

    def catches(self, pid: int, number: int) -> bool:
        """The process has a handler of its own for the signal (proc_pid_status(5), SigCgt)."""
        return bool(int(self._status(pid, "SigCgt"), 16) >> (number - 1) & 1)

    def frozen(self, container: Container) -> bool:
        if self._mounts.version == "v1":
            return self._read(container, "freezer", "freezer.state") == "FROZEN"
        return "frozen 1" in self._read(container, "unified", "cgroup.events").splitlines()

    def limit(self, container: Container, what: str) -> str:
        """The cgroup file of `what`, as it is."""
        controller, v1, v2 = _FILES[what]
        return self._read(container, controller, v1 if self._mounts.version == "v1" else v2)

    def cpu_percent(self, container: Container) -> int:
        if self._mounts.version == "v1":
            quota = self._read(container, "cpu", "cpu.cfs_quota_us")
            period = self._read(container, "cpu", "cpu.cfs_period_us")
        else:
            quota, period = self._read(container, "cpu", "cpu.max").split()
        return int(quota) * 100 // int(period)

    def oom_kills(self, container: Container) -> int:
        lines = self.limit(container, "oom").splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("oom_kill ")))

    def pids(self, container: Container) -> set[int]:
        text = self._read(container, "pids", "cgroup.procs")
        return {int(pid) for pid in text.split()}

    def left_of(self, container: Container) -> list[str]:
        """Whatever of a deleted container is still there; empty is right."""
        return self.left_of_id(container.id, container.cgroup)

    def left_of_id(self, runtime_id: str, cgroup: str) -> list[str]:
        return [
            *self._cgroups(cgroup),
            *self._mounted(runtime_id),
            *self._folders(runtime_id),
            *self._processes(runtime_id),
        ]

    def _cgroups(self, path: str) -> list[str]:
        trees = {*self._mounts.controllers.values(), self._mounts.unified} - {None}
        folders = [tree / path.lstrip("/") for tree in trees if tree is not None]
        return [str(folder) for folder in folders if folder.exists()]

    def _mounted(self, runtime_id: str) -> list[str]:
        text = Path("/proc/self/mountinfo").read_text()
        return [line for line in text.splitlines() if runtime_id in line]

    def _folders(self, runtime_id: str) -> list[str]:
        incarnation = runtime_id.rpartition("-")[0]
        tops = [self._places.runs, *self._places.runtime_roots.glob("*")]
        found = [top / runtime_id for top in tops]
        found += [self._places.layers / incarnation, self._places.logs / incarnation]
        return [str(folder) for folder in found if folder.exists()]

    def _processes(self, runtime_id: str) -> list[str]:
        found = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    words = (folder / "cmdline").read_bytes()
                except (FileNotFoundError, ProcessLookupError):
                    continue
                if runtime_id.encode() in words:
                    found.append(f"{folder.name} {words!r}")
        return found

    def _read(self, container: Container, controller: str, file: str) -> str:
        folder = self._mounts.at(container.cgroup).folder(controller)
        assert folder is not None
        return (folder / file).read_text().strip()

    def _status(self, pid: int, field: str) -> str:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return next(line.split()[1] for line in lines if line.startswith(f"{field}:"))


def readable(fd: int, seconds: float = 5.0) -> bool:
    """Waits, bounded, until `fd` can be read."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(int(seconds * 1000)))


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
