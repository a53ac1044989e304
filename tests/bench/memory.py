"""What processes weigh, and which they are; from /proc."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def pss_bytes(pid: int) -> int:
    """The proportional set size of a process; 0 once it is gone (proc_pid_smaps(5))."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def peak_bytes(pid: int) -> int:
    """The most that a process ever had in memory (VmHWM, proc_pid_status(5))."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def processes(wanted: Callable[[list[str]], bool]) -> list[int]:
    """The pids of all whose arguments are `wanted`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if wanted(words):
            found.append(int(entry.name))
    return found
