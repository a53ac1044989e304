"""The processes of a container's cgroup, and the cgroup's own end."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_fixed

from wharfside_agent.core.cgroup_paths import Cgroup
from wharfside_agent.runtime.freezer import thaw
from wharfside_protocol.errors import RuntimeFailed

REMOVE_SECONDS = 10.0
"""The kernel frees a cgroup some milliseconds after its last process was reaped."""


def folders(cgroup: Cgroup) -> list[Path]:
    """Every folder of `cgroup` that is there: one in v2, one a tree in v1 (and hybrid)."""
    trees = {*cgroup.mounts.controllers.values(), cgroup.mounts.unified} - {None}
    found = [f"{tree}/{cgroup.path.lstrip('/')}" for tree in trees]
    return sorted(Path(folder) for folder in found if os.access(folder, os.F_OK))


def pids(cgroup: Cgroup) -> set[int]:
    """All processes in it and in the cgroups below, seen from any controller."""
    return {pid for top in folders(cgroup) for pid in _pids_below(top)}


def signal_all(cgroup: Cgroup, number: int) -> None:
    """Signals every process in it. SIGKILL also ends what is frozen, or forked meanwhile."""
    if number != signal.SIGKILL:
        _send_all(pids(cgroup), number)
    elif not _kill_by_kernel(cgroup):
        _kill_all(cgroup)
        thaw(cgroup)


async def remove(cgroup: Cgroup) -> None:
    """Kills what is left in it and removes it. Idempotent.

    Raises:
        RuntimeFailed: it is still there after REMOVE_SECONDS; it names what.
    """
    if not folders(cgroup):  # the common case: its runtime has removed it
        return
    retried = AsyncRetrying(
        wait=wait_fixed(0.005),
        stop=stop_after_delay(REMOVE_SECONDS),
        retry=retry_if_exception_type(RuntimeFailed),
        reraise=True,
    )
    await retried(_remove_once, cgroup)


def remove_empty(cgroup: Cgroup) -> None:
    """Removes one without processes. Idempotent.

    Raises:
        RuntimeFailed: it is not empty; it names what is left.
    """
    left = [str(top) for top in folders(cgroup) if not _rmdir(top)]
    if left:
        raise RuntimeFailed(f"cgroup {cgroup.path} cannot be removed: {left}", folders=left)


async def _remove_once(cgroup: Cgroup) -> None:
    signal_all(cgroup, signal.SIGKILL)
    left = [str(top) for top in folders(cgroup) if not _rmdir(top)]
    if left:
        raise RuntimeFailed(
            f"cgroup {cgroup.path} cannot be removed, processes left: {sorted(pids(cgroup))}",
            folders=left,
        )


def _rmdir(top: Path) -> bool:
    """Removes `top` and the cgroups below it; False: something in it is still busy."""
    try:
        for folder, _, _ in os.walk(top, topdown=False):
            Path(folder).rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _kill_all(cgroup: Cgroup) -> None:
    told: set[int] = set()
    while fresh := pids(cgroup) - told:  # ends: at the pids limit, or the end of the pid space
        _send_all(fresh, signal.SIGKILL)
        told |= fresh


def _kill_by_kernel(cgroup: Cgroup) -> bool:
    """cgroup.kill of cgroup v2 (Linux >= 5.14): all at once, forks included."""
    folder = cgroup.folder("unified") if cgroup.version == "v2" else None
    if folder is None:
        return False
    try:
        (folder / "cgroup.kill").write_text("1")
    except OSError:
        return False
    return True


def _pids_below(top: Path) -> Iterator[int]:
    for folder, _, _ in os.walk(top):
        try:
            yield from map(int, (Path(folder) / "cgroup.procs").read_text().split())
        except OSError:
            continue  # it went away while we looked


def _send_all(pids: set[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
