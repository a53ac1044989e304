"""A node's JWT on a real server: its end is told in time, a new one is taken up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.integration.bus_kit import replace
from tests.integration.fixtures import NEEDED
from tests.integration.told import Told
from tests.integration.world import kill, start, stop
from tests.support.agent import AgentProcess, agent_process
from tests.support.eventually import eventually
from tests.support.jwts import Trust
from tests.support.leaks import LeakGate
from tests.support.nats_server import NatsServer
from tests.support.requirements import need
from tests.support.rootfs import build_rootfs

from wharfside_client import Wharfside, connect
from wharfside_client.settings import ServerSettings
from wharfside_client.specs import container

DAY_S = 86_400

SHORT_S = 8
"""So long a connection may take on a busy machine: with an expired JWT there would be none."""


@pytest.fixture
def trust() -> Trust:
    return Trust()


@pytest.fixture
def server(leak_gate: LeakGate, trust: Trust, tmp_path: Path) -> Iterator[NatsServer]:
    for name in NEEDED:
        need(name)
    with NatsServer(tmp_path / "nats", config=trust.config) as server:
        yield server


@pytest.fixture
async def fleet(server: NatsServer, trust: Trust, tmp_path: Path) -> AsyncIterator[Wharfside]:
    creds = tmp_path / "orchestrator.creds"
    replace(creds, trust.creds())
    async with connect(ServerSettings(servers=(server.url,), creds=str(creds))) as fleet:
        await fleet.setup.bootstrap()
        yield fleet


@pytest.fixture
def agent(server: NatsServer, leak_gate: LeakGate, tmp_path: Path) -> Iterator[AgentProcess]:
    build_rootfs(tmp_path / "roots" / "busybox")
    folder, roots = tmp_path / "agent", tmp_path / "roots"
    with agent_process("n1", server.url, folder, roots, cgroup=leak_gate.cgroup) as agent:
        text = agent.config.read_text()
        agent.config.write_text(text.replace("[nats]", f'[nats]\ncreds = "{folder}/node.creds"'))
        yield agent


def seconds(from_now: float) -> int:
    return int(time.time() + from_now)


async def test_from_one_jwt_to_the_next(
    agent: AgentProcess, fleet: Wharfside, trust: Trust, tmp_path: Path
) -> None:
    creds = agent.folder / "node.creds"
    node = fleet.node("n1")
    told = Told(agent.log_text)
    async with fleet.events() as stream:
        following = asyncio.create_task(told.follow(stream))
        replace(creds, trust.creds(seconds(3000)))
        await start(agent)
        await node.run(
            container("c", ["/bin/sleep", "600"], rootfs=str(tmp_path / "roots/busybox"))
        )
        assert await within(told, 1) == [3600]
        await kill(agent)
        await start(agent)  # a new life tells it no second time

        replace(creds, trust.creds(seconds(20 * DAY_S)))
        await asyncio.to_thread(agent.wait_for_log, "bus-renewed")
        assert await within(told, 2) == [3600, 30 * DAY_S]
        info = await node.info()
        assert info.bus.reconnects == 1
        assert info.credentials_expire_at is not None

        replace(creds, trust.creds(seconds(SHORT_S)))
        await asyncio.to_thread(agent.wait_for_log, "bus-renewed")
        await asyncio.to_thread(agent.wait_for_log, "bus-disconnected")
        # the server looks at the end of a JWT by its own clock, a little before the agent does
        await asyncio.to_thread(wait_for_end, agent)
        replace(creds, trust.creds())
        await asyncio.to_thread(agent.wait_for_log, "bus-connected")
        await eventually(lambda: expires_never(fleet), "its presence says so")
        assert (await within(told, 4))[2:] == [3600, 0]
        assert told.types("c") == ["created", "started", "reattached"]
        await node.delete("c", force=True)
        await told.event("c", "deleted")
        following.cancel()
        await asyncio.wait({following})
    assert await stop(agent) == 0


def wait_for_end(agent: AgentProcess) -> None:
    """Until the agent has seen that its credentials have ended."""
    while '"within_s": 0' not in agent.log_text():
        agent.wait_for_log("credentials-expiring")


async def within(told: Told, count: int) -> list[int]:
    """The thresholds that were told, once there are so many."""

    def found() -> list[int]:
        events = [event for event in told.events if event.type == "credentials-expiring"]
        return [event.data["within_s"] for event in events]

    return (
        await eventually(lambda: found() if len(found()) >= count else None, f"{count} were told")
        or []
    )


async def expires_never(fleet: Wharfside) -> bool:
    return (await fleet.node("n1").info()).credentials_expire_at is None
