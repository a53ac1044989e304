"""The units under a real systemd: no restart of the agent, whatever its cause, ends a container."""

from __future__ import annotations

import asyncio

import pytest
from tests.deploy.units import AGENT, CONTAINERS, UnitNode
from tests.support.systemd import Systemd

from wharfside_client import connect

ENDS_WHEN_ASKED = "trap 'exit 7' USR1; while :; do sleep 0.1; done"
HASTY = "[Service]\nRestartSec=100ms\nWatchdogSec={watchdog}\nTimeoutAbortSec=1\n"


async def test_no_restart_of_the_unit_touches_a_container(
    unit_node: UnitNode, systemd: Systemd
) -> None:
    """`systemctl restart`, kill -9, and a loop that hangs: the same process, the same run."""
    unit_node.write_units(HASTY.format(watchdog=unit_node.watchdog_s))
    systemd.start()
    async with connect(unit_node.server) as fleet:
        await fleet.setup.bootstrap()
        await asyncio.to_thread(unit_node.start)
        node = fleet.node(unit_node.name)
        pid = (await node.run(unit_node.spec("c1", ENDS_WHEN_ASKED), unreachable_s=60)).pid
        assert pid is not None
        born = unit_node.birth(pid)
        assert unit_node.cgroup(pid).startswith(f"/wharfside.slice/{CONTAINERS}/ctr/")
        assert unit_node.cgroup(unit_node.pid) == f"/wharfside.slice/{AGENT}"

        for restart in (
            ("systemctl", "restart", AGENT),
            ("systemctl", "kill", "--kill-who=main", "--signal=KILL", AGENT),
            ("systemctl", "kill", "--kill-who=main", "--signal=STOP", AGENT),
        ):
            before = unit_node.pid
            await asyncio.to_thread(systemd.run, *restart)
            await asyncio.to_thread(unit_node.await_another_life, before)
            [view] = await node.list(unreachable_s=60)
            assert (view.container, view.pid, view.run) == ("c1", pid, 1)
            assert unit_node.birth(pid) == born

        await node.signal("c1", "USR1")
        ended = (await node.wait("c1")).exit
        assert ended is not None
        assert ended.exit_code == 7
        await node.delete("c1")


def test_the_containers_unit_is_not_stopped_by_hand(unit_node: UnitNode, systemd: Systemd) -> None:
    systemd.start()
    systemd.run("systemctl", "start", CONTAINERS)
    for asked in ("restart", "stop"):
        with pytest.raises(AssertionError, match="may be requested by dependency only"):
            systemd.run("systemctl", asked, CONTAINERS)
    assert systemd.show(CONTAINERS, "ActiveState") == "active"
