"""The agent goes before its containers, and nothing that it starts inherits that."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from tests.integration.world import Site, command

pytestmark = pytest.mark.requires("root", "crun", "conmon", "busybox-static")


async def test_containers_monitors_and_execs_run_as_nice_as_the_agent_was_started(
    site: Site,
) -> None:
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    name = await site.run()
    exec_ = await site.node.exec(name, command("sleep 60"), wait=False)
    details = await site.node.inspect(name)
    assert details.pid is not None and exec_.pid is not None
    init, visitor = psutil.Process(details.pid), psutil.Process(exec_.pid)
    monitors = [init.parent(), visitor.parent()]
    assert all(monitor is not None and monitor.name() == "conmon" for monitor in monitors)
    assert psutil.Process(site.agent.pid).nice() == min(ours, -10)
    started = [init, visitor, *(monitor for monitor in monitors if monitor is not None)]
    assert [process.nice() for process in started] == [ours] * 4
    if (sessions := session_nice(site.agent.pid)) is not None:
        assert sessions == -3
        assert [session_nice(process.pid) for process in started] == [0] * 4


def session_nice(pid: int) -> int | None:
    """Among other sessions, on a kernel that groups by them (autogroup, sched(7))."""
    with suppress(FileNotFoundError):
        return int(Path(f"/proc/{pid}/autogroup").read_text().split()[-1])
    return None
