"""The leak gate: whatever a test started must be gone when the test ends.

Looked for are processes, mounts, cgroups and descriptors. A process is the test's own if it
descends from the test process, carries the gate's mark in its environment (also when conmon or init
has adopted it), names one of the test's directories, or lives in the test's cgroup.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
from tests.support import machine
from tests.support.eventually import NeverHappened, wait_until

# What was told to end may take this long to be gone.
GRACE_S = 30.0
SWEEP_S = 10.0
# An agent keeps its own rooms for its next start: they hold nothing.
KEPT_CGROUPS = frozenset({"", "agent", "conmon", "ctr"})

_numbers = itertools.count(1)


@dataclass(frozen=True)
class LeftProcess:
    """A process and what could be told of it while it was there."""

    process: psutil.Process
    what: str


@dataclass(frozen=True)
class Leaks:
    """What was left, as handles for the sweep."""

    processes: tuple[LeftProcess, ...] = ()
    mounts: tuple[str, ...] = ()
    cgroups: tuple[Path, ...] = ()
    descriptors: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return any((self.processes, self.mounts, self.cgroups, self.descriptors))

    def lines(self) -> list[str]:
        return [
            *(f"process {left.what}" for left in self.processes),
            *(f"mount {machine.mount_point(line)}" for line in self.mounts),
            *(f"cgroup {directory}" for directory in self.cgroups),
            *(f"descriptor {descriptor}" for descriptor in self.descriptors),
        ]


class LeakGate:
    """One test's gate. `cgroup` is a cgroup path of the test's own: put all others below it."""

    def __init__(self, *directories: Path) -> None:
        self.cgroup = f"/wharfside-test-{os.getpid()}-{next(_numbers)}"
        self._needles = [
            f"{machine.MARK}={self.cgroup[1:]}\0",
            f"{self.cgroup}/",
            f"{self.cgroup}\n",
        ]
        for directory in directories:
            self.watch(directory)
        self._outer_mark = os.environ.get(machine.MARK)
        os.environ[machine.MARK] = self.cgroup[1:]
        self._processes = machine.processes()
        self._mounts = set(machine.mounts())
        self._descriptors = machine.descriptors()

    def watch(self, directory: Path) -> None:
        """Count processes and mounts that name `directory` as the test's, too."""
        self._needles.append(str(directory))

    def spare(self, *pids: int) -> None:
        """Processes that were begun meanwhile and are another's to end."""
        self._processes.update(map(psutil.Process, pids))

    def find(self) -> Leaks:
        """What is there now and was not at the start."""
        return Leaks(
            tuple(self._new_processes()),
            tuple(self._new_mounts()),
            tuple(self._full_cgroups()),
            tuple(self._new_descriptors()),
        )

    def close(self) -> Leaks:
        """Return what is still left after GRACE_S, swept away so that no other test meets it.

        Descriptors are only told: their owner may still close them, by then another's number.
        """
        leaks = self._after_grace()
        self._restore_mark()
        if leaks:
            sweep(leaks)
        for root in machine.cgroup_roots(self.cgroup):
            _remove_cgroups(machine.cgroups_below(root))
        return leaks

    def _after_grace(self) -> Leaks:
        if not self.find():
            return Leaks()
        # A cycle of garbage may hold a descriptor; unclosed, it is told as a ResourceWarning.
        gc.collect()
        try:
            wait_until(lambda: not self.find(), "nothing left behind", within_s=GRACE_S)
        except NeverHappened:
            return self.find()
        return Leaks()

    def _restore_mark(self) -> None:
        if self._outer_mark is None:
            os.environ.pop(machine.MARK, None)
        else:
            os.environ[machine.MARK] = self._outer_mark

    def _new_processes(self) -> list[LeftProcess]:
        new = machine.processes() - self._processes
        # Looking through all of /proc for descendants is the dear part: most tests leave none.
        ours = psutil.Process().children(recursive=True) if new else []
        return [
            LeftProcess(process, machine.describe(process))
            for process in new
            if self._is_ours(process, ours)
        ]

    def _is_ours(self, process: psutil.Process, descendants: list[psutil.Process]) -> bool:
        # Another parent's zombie is that parent's to reap, and pid 1 takes its time.
        if machine.is_zombie(process):
            return process in descendants and process.ppid() == os.getpid()
        if process in descendants:
            return True
        return machine.names_any(machine.traces(process.pid), self._needles)

    def _new_mounts(self) -> list[str]:
        return [
            line
            for line in machine.mounts()
            if line not in self._mounts and machine.names_any(line, self._needles)
        ]

    def _full_cgroups(self) -> list[Path]:
        found = []
        for root in machine.cgroup_roots(self.cgroup):
            for directory in machine.cgroups_below(root):
                kept = str(directory.relative_to(root)).removeprefix(".") in KEPT_CGROUPS
                if not kept or machine.members(directory):
                    found.append(directory)
        return found

    def _new_descriptors(self) -> list[str]:
        return [
            f"{number} -> {target}"
            for number, target in machine.descriptors().items()
            if self._descriptors.get(number) != target
        ]


@contextlib.contextmanager
def nothing_left(folder: Path) -> Iterator[LeakGate]:
    """A gate; what was left when it closes is swept away and told, whatever else went wrong."""
    gate = LeakGate(folder)
    try:
        yield gate
    finally:
        leaks = gate.close()
    assert not leaks, "\n".join(leaks.lines())


def sweep(leaks: Leaks) -> None:
    """End, unmount and remove what leaked; each step is bounded and does what it still can."""
    for directory in leaks.cgroups:
        _thaw(directory)
    _kill([left.process for left in leaks.processes])
    for line in reversed(leaks.mounts):
        subprocess.run(
            ["umount", "--lazy", machine.mount_point(line)], timeout=SWEEP_S, check=False
        )


def _thaw(directory: Path) -> None:
    """A frozen task of cgroup v1 dies only once it is thawed (freezer-subsystem.rst)."""
    with contextlib.suppress(OSError):
        (directory / "freezer.state").write_text("THAWED")


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
    with contextlib.suppress(NeverHappened):
        wait_until(
            lambda: all(machine.has_ended(process) for process in processes),
            "leaked processes ended",
            within_s=SWEEP_S,
        )


def _remove_cgroups(directories: list[Path]) -> None:
    def removed() -> bool:
        for directory in directories:
            for pid in machine.members(directory):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(OSError):
                directory.rmdir()
        return not any(directory.exists() for directory in directories)

    with contextlib.suppress(NeverHappened):
        wait_until(removed, "cgroups removed", within_s=SWEEP_S)
