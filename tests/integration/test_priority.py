"""The agent goes before its containers, and nothing that it starts inherits that."""

from __future__ import annotations

import os

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
