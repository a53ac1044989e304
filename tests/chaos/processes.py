"""The kernel's processes behind a container, which live and die without the agent."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from tests.integration.bounds import BOUND_S
from tests.integration.world import Site
from tests.support import machine
from tests.support.agent import AgentProcess
from tests.support.eventually import NeverHappened, eventually


@contextmanager
def stopped(agent: AgentProcess) -> Iterator[None]:
    """The agent sees nothing meanwhile, and everything at once afterwards."""
    psutil.Process(agent.pid).send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        psutil.Process(agent.pid).send_signal(signal.SIGCONT)


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


async def nothing_left(site: Site, incarnation: str) -> None:
    """No process, mount, cgroup or folder on this machine names the incarnation."""
    trace = incarnation.lower()
    await no_process_of(trace)
    assert not [line for line in machine.mounts() if trace in line]
    assert not list(machine.cgroup_roots(f"{site.world.cgroup}/ctr/{trace}"))
    assert not [name for name in names_below(site.agent.folder) if trace in name]


async def no_process_of(trace: str) -> None:
    """One that was killed, or has nothing more to do, may not be gone yet."""

    def found() -> list[str]:
        return [text for each in psutil.pids() if trace in (text := machine.traces(each))]

    with contextlib.suppress(NeverHappened):
        await eventually(lambda: not found(), f"no process of {trace}", within_s=BOUND_S)
    assert not found()
