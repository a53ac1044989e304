"""The kernel's processes behind a container, which live and die without the agent."""

from __future__ import annotations

import asyncio
import os
import select
from pathlib import Path

import psutil
from tests.integration.bounds import BOUND_S
from tests.integration.world import Site
from tests.support import machine


async def over(pid: int) -> None:
    """Until the process is, whoever's child it may be."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        assert await asyncio.to_thread(poll.poll, BOUND_S * 1000), f"{pid} did not end"
    finally:
        os.close(fd)


def monitor_of(pid: int | None) -> psutil.Process:
    """The conmon of a container's process."""
    assert pid is not None
    parent = psutil.Process(pid).parent()
    assert parent is not None
    assert parent.name() == "conmon"
    return parent


async def pid_of(site: Site, name: str) -> int:
    pid = (await site.node.inspect(name)).pid
    assert pid is not None
    return pid


def names_below(folder: Path) -> list[str]:
    """Of all files and folders; one that vanishes meanwhile has none (os.walk passes it by)."""
    return [name for _top, folders, files in os.walk(folder) for name in (*folders, *files)]


def nothing_left(site: Site, incarnation: str) -> None:
    """No process, mount, cgroup or folder on this machine names the incarnation."""
    trace = incarnation.lower()
    assert not [line for line in machine.mounts() if trace in line]
    assert not list(machine.cgroup_roots(f"{site.world.cgroup}/ctr/{trace}"))
    assert not [name for name in names_below(site.agent.folder) if trace in name]
    assert not [each for each in psutil.pids() if trace in machine.traces(each)]
