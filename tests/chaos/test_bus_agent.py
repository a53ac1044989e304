"""The whole agent behind a server that stops, refuses and comes back: nothing lost or doubled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.chaos.processes import monitor_of, over, pid_of
from tests.chaos.published import wanting_of
from tests.integration.world import Site, World, bootstrap, open_site, start, stop
from tests.support.agent import AgentProcess
from tests.support.eventually import eventually
from tests.support.nats_server import NatsServer

QUICK = "ping_interval_s = 0.5\nunacked_s = 2\nunanswered_s = 3\nspread_s = 0.5\n"
LIFE = ["created", "started", "exited"]

USERS = """
authorization {{ users: [{{user: "agent", password: "{0}"}}, {{user: "ops", password: "ops"}}] }}
no_auth_user: ops
"""


def configure(agent: AgentProcess, nats: str = "") -> None:
    agent.write_config()
    text = agent.config.read_text().replace("[nats]\n", f"[nats]\n{QUICK}{nats}")
    agent.config.write_text(text)


@pytest.fixture
def own_server(world: World) -> Iterator[NatsServer]:
    with NatsServer(world.folder / world.new_name("nats")) as server:
        yield server


@asynccontextmanager
async def agent_on(world: World, server: NatsServer, nats: str = "") -> AsyncIterator[Site]:
    """An agent of its own on a server of its own, with all bounds short."""
    await bootstrap(server.url)
    with world.agent(world.new_name("node"), server=server.url) as agent:
        configure(agent, nats)
        await start(agent)
        async with open_site(replace(world, server=server), agent) as site:
            await site.listed()
            yield site
            await site.clear()
            assert await stop(agent) == 0


async def test_a_server_stopped_for_long_under_work(world: World, own_server: NatsServer) -> None:
    """SIGSTOP: nothing is refused and nothing is answered; what ends meanwhile is told after."""
    async with agent_on(world, own_server) as site:
        ends, cues = await site.run_with_cues()
        stays, _ = await site.run_with_cues()
        await site.told.event(ends, "started")
        monitor = monitor_of(await pid_of(site, ends))
        own_server.pause()
        cues.go("4")
        await over(monitor.pid)
        await asyncio.to_thread(site.agent.wait_for_log, "bus-unreachable")
        own_server.resume()
        assert (await site.told.exit(ends)).exit_code == 4
        assert site.told.types(ends) == LIFE
        assert (await site.node.inspect(stays, unreachable_s=20)).state == "running"
        bus = (await site.node.info(unreachable_s=20)).bus
        assert bus.reconnects >= 1
        assert bus.server == f"127.0.0.1:{own_server.port}"
        assert bus.last_error


async def test_a_password_is_rotated_under_a_running_agent(
    world: World, own_server: NatsServer, tmp_path: Path
) -> None:
    """nats.py#1019, end to end: the file is replaced, the server is told, no restart."""
    file = tmp_path / "password"
    file.write_text("first\n")
    own_server.restart(config=USERS.format("first"))
    settings = f'user = "agent"\npassword_file = "{file}"\n'
    async with agent_on(world, own_server, settings) as site:
        ends, cues = await site.run_with_cues()
        await site.told.event(ends, "started")
        pid = site.agent.pid
        own_server.reload(USERS.format("second"))
        await asyncio.to_thread(site.agent.wait_for_log, "bus-unreachable")
        cues.go("6")
        new = tmp_path / "password.new"
        new.write_text("second\n")
        new.rename(file)
        assert (await site.told.exit(ends)).exit_code == 6
        assert site.told.types(ends) == LIFE

        async def well() -> bool:
            info = await site.node.info(unreachable_s=20)
            # The refusal's own words may be lost with the reset that follows them.
            told = info.bus.reconnects >= 1 and bool(info.bus.last_error)
            return told and await wanting_of(site.node, unreachable_s=20) == {}

        await eventually(well, "the node answers, and says what was")
        assert site.agent.pid == pid
