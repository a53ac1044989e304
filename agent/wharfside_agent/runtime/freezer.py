"""The processes of a container's cgroup stand still, or go on.

Version 1 calls it FREEZING until the last of them stands still (freezer-subsystem.rst); version 2
tells by `cgroup.events` (cgroup-v2.rst).
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from tenacity import AsyncRetrying, retry_if_result, stop_after_delay, wait_fixed

from wharfside_agent.core.cgroup_paths import Cgroup

TRY_SECONDS = 0.05
"""Each process has to be scheduled once; what forks meanwhile may need more than that."""

_LOOK_SECONDS = 0.001
"""Version 1 has no event for it."""


async def freeze(cgroup: Cgroup) -> bool:
    """False: not all of them stood still within TRY_SECONDS, and they go on again.

    Much sooner than by the runtime's `pause`, which starts a process; but that one knows how to
    freeze what forks without end (libcontainer thaws it, and tries again).
    """
    folder = cgroup.folder("freezer")
    if folder is None:
        return False
    tried = AsyncRetrying(
        retry=retry_if_result(lambda still: not still),
        wait=wait_fixed(_LOOK_SECONDS),
        stop=stop_after_delay(TRY_SECONDS),
        retry_error_callback=lambda _: False,
    )
    _write(folder, "FROZEN", "1")
    if await tried(_stand_still, folder):
        return True
    thaw(cgroup)
    return False


def thaw(cgroup: Cgroup) -> None:
    """Idempotent. In v1 a frozen process dies only once it is thawed."""
    folder = cgroup.folder("freezer")
    if folder is not None:
        _write(folder, "THAWED", "0")


def _write(folder: Path, first: str, second: str) -> None:
    """In the words of both versions; only one of the files is there."""
    for name, word in (("freezer.state", first), ("cgroup.freeze", second)):
        with suppress(OSError):
            (folder / name).write_text(word)


async def _stand_still(folder: Path) -> bool:
    for name, line in (("freezer.state", "FROZEN"), ("cgroup.events", "frozen 1")):
        with suppress(OSError):
            return line in (folder / name).read_text().splitlines()
    return False
