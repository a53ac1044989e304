"""What a run may have left on the machine: processes, mounts, cgroups; found, and swept away.

Found by what the kernel says, not by what the agent remembers: this is the check on it.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from deploy.quickstart.folder import Folder
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

PROGRAMS = frozenset({"conmon", "crun", "runc", "nats-server", "wharfside-agent"})
SETTLE_S = 15.0
SWEEP_S = 30.0
UMOUNT_S = 30.0


@dataclass(frozen=True, slots=True)
class Leftovers:
    """`processes`: pids with their command lines."""

    processes: dict[int, str]
    mounts: list[str]
    cgroups: list[Path]

    def __bool__(self) -> bool:
        return bool(self.processes or self.mounts or self.cgroups)

    def __str__(self) -> str:
        named = [f"process {pid} ({command[:60]})" for pid, command in self.processes.items()]
        named += [f"mount {mount}" for mount in self.mounts]
        named += [f"cgroup {folder}" for folder in self.cgroups]
        return ", ".join(named)


def find(folder: Folder) -> Leftovers:
    """What of the runs in `folder` is on the machine now."""
    cgroups = _cgroups(folder.cgroup)
    inside = {pid for top in cgroups for pid in _members(top)}
    commands = {pid: words for pid, words in _commands() if pid != os.getpid()}
    started = {pid for pid, words in commands.items() if _is_ours(words, folder)}
    processes = {pid: " ".join(commands.get(pid, [])) for pid in sorted(inside | started)}
    return Leftovers(processes, _mounts_below(folder.top), cgroups)


def settle(folder: Folder) -> Leftovers:
    """What is left once all was ended in good order: nothing, as soon as the kernel is done.

    The empty cgroups go here: a node keeps its own, a demonstration must not.
    """
    return _until_nothing(_remove_empty, folder, SETTLE_S)


def sweep(folder: Folder) -> Leftovers:
    """Kills, unmounts and removes it all; what would not go within SWEEP_S."""
    return _until_nothing(_kill_and_remove, folder, SWEEP_S)


def _until_nothing(act: Callable[[Folder], None], folder: Folder, seconds: float) -> Leftovers:
    def once() -> Leftovers:
        act(folder)
        return find(folder)

    left: Leftovers = Retrying(
        retry=retry_if_result(bool),
        stop=stop_after_delay(seconds),
        wait=wait_fixed(0.03),
        retry_error_callback=lambda _state: find(folder),
    )(once)
    return left


def _remove_empty(folder: Folder) -> None:
    for top in _cgroups(folder.cgroup):
        _remove_cgroup(top)


def _kill_and_remove(folder: Folder) -> None:
    found = find(folder)
    for pid in found.processes:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for top in found.cgroups:
        _thaw(top)
        _remove_cgroup(top)
    for mount in reversed(found.mounts):
        subprocess.run(["umount", "--lazy", mount], check=False, timeout=UMOUNT_S)


def _thaw(top: Path) -> None:
    """A frozen process of cgroup v1 dies of its SIGKILL only once it is thawed."""
    for folder, _, _ in os.walk(top):
        state = Path(folder) / "freezer.state"
        with suppress(OSError):
            if state.exists():
                state.write_text("THAWED")


def _remove_cgroup(top: Path) -> None:
    for folder, _, _ in os.walk(top, topdown=False):
        with suppress(OSError):  # busy until its last process was reaped: the next round
            Path(folder).rmdir()


def _cgroups(path: str) -> list[Path]:
    """The cgroup `path` in every tree that is mounted; a tree may be mounted twice."""
    tops = {Path(point) / path.lstrip("/") for kind, point in _mounts() if "cgroup" in kind}
    return sorted(top for top in tops if top.is_dir())


def _members(top: Path) -> Iterator[int]:
    for folder, _, _ in os.walk(top):
        with suppress(OSError):  # it went away while we looked
            yield from map(int, (Path(folder) / "cgroup.procs").read_text().split())


def _commands() -> Iterator[tuple[int, list[str]]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):  # it has ended
                words = (entry / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
                yield int(entry.name), [os.fsdecode(word) for word in words]


def _is_ours(words: list[str], folder: Folder) -> bool:
    """A program of ours (a script's name follows its interpreter's) that works in `folder`."""
    named = {Path(word).name for word in words[:2]}
    return bool(named & PROGRAMS) and any(f"{folder.top}/" in word for word in words[1:])


def _mounts_below(top: Path) -> list[str]:
    return [point for _, point in _mounts() if point.startswith(f"{top}/")]


def _mounts() -> Iterator[tuple[str, str]]:
    """Type and mount point, from proc_pid_mountinfo(5)."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        point = before.split(" ")[4].encode().decode("unicode_escape")
        yield after.split(" ")[0], os.fsdecode(point.encode("latin-1"))
