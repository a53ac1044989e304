"""The units on cgroup v2 with its controllers, where an inner node may hold no process.

An agent above its own containers could never be started again: 219/CGROUP (systemd before 254).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.deploy.conftest import booted_node
from tests.deploy.units import AGENT, UnitNode
from tests.support.leaks import LeakGate
from tests.support.nats_server import NatsServer
from tests.support.requirements import requires

from wharfside_client import connect
from wharfside_protocol.specs import Limits

pytestmark = requires("cgroup-v2")

LIMIT = 64 * 1024 * 1024
PATIENCE_S = 120.0


@pytest.fixture
def node(leak_gate: LeakGate, tmp_path: Path, nats_server: NatsServer) -> Iterator[UnitNode]:
    with booted_node(tmp_path, leak_gate, nats_server.url) as node:
        yield node


@pytest.mark.soak
async def test_the_agent_starts_again_below_limits_that_hold(node: UnitNode) -> None:
    async with connect(node.server) as fleet:
        await fleet.setup.bootstrap()
        await asyncio.to_thread(node.start)
        agent = fleet.node(node.name)
        spec = msgspec.structs.replace(
            node.spec("c1", "sleep 10000"), limits=Limits(memory_bytes=LIMIT)
        )
        made = await agent.run(spec, timeout_s=PATIENCE_S)
        assert made.pid is not None
        born, cgroup = node.birth(made.pid), node.cgroup(made.pid)
        for restart in (("restart",), ("kill", "--kill-who=main", "--signal=KILL")):
            before = node.pid
            await asyncio.to_thread(node.systemd.run, "systemctl", *restart, AGENT)
            await asyncio.to_thread(node.await_another_life, before)
            [view] = await agent.list(unreachable_s=PATIENCE_S)
            assert (view.container, view.pid, view.state) == ("c1", made.pid, "running")
            assert node.birth(made.pid) == born
        assert node.systemd.run("cat", f"/sys/fs/cgroup{cgroup}/memory.max").strip() == str(LIMIT)
        await agent.delete("c1", force=True, timeout_s=PATIENCE_S)
