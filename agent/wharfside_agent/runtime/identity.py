"""Who a pid is, beyond its number."""

from __future__ import annotations

from pathlib import Path

from wharfside_agent.core.proc_text import ProcStat, parse_stat
from wharfside_agent.ports.watcher import ProcessIdentity

_PROC = Path("/proc")
OVER = 0
"""The start time of a process that was over before it could be read; no live one has it."""


def proc_stat(pid: int) -> ProcStat | None:
    """None: no such process."""
    try:
        return parse_stat((_PROC / str(pid) / "stat").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return None


def identify(pid: int) -> ProcessIdentity:
    """The identity of a process that was just started; it may have ended since."""
    stat = proc_stat(pid)
    return ProcessIdentity(pid, OVER if stat is None else stat.start_time)


def pids_naming(name: str, programs: frozenset[str]) -> list[int]:
    """Processes of `programs` that have `name` as an argument, or after `=`.

    A full look through /proc (some ms): only for what a death has left half done.
    """
    pids = [int(folder.name) for folder in _PROC.iterdir() if folder.name.isdigit()]
    return [pid for pid in pids if _names(pid, name.encode(), programs)]


def _names(pid: int, name: bytes, programs: frozenset[str]) -> bool:
    try:
        words = (_PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return False
    if Path(words[0].decode(errors="replace")).name not in programs:
        return False
    return any(word == name or word.endswith(b"=" + name) for word in words)
