"""One agent a name, one a folder: who must leave does so, says why, and touches no container."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace

import nats
import psutil
import pytest
from tests.integration.bounds import BOUND_S, bounded
from tests.integration.world import Site, World, kill, start, stop
from tests.support.agent import AgentProcess
from tests.support.eventually import eventually

from wharfside_protocol.assets import node_key
from wharfside_protocol.codec import encode


async def ended(agent: AgentProcess) -> int:
    """Its exit status, when it has ended by itself."""
    code = await bounded(asyncio.to_thread(agent.wait), f"the end of {agent.name}")
    await asyncio.to_thread(agent.kill)
    return code


async def test_the_later_one_of_a_name_leaves(own: Site, world: World) -> None:
    await start(own.agent)
    name = await own.run()
    with world.agent(own.agent.name) as twin:
        await start(twin, until="twin-found")
        assert await ended(twin) == 1
        said = twin.log.read_text()
        assert own.agent.name in said
        assert "--take-over" in said
        assert "Traceback" not in said
    assert (await own.node.inspect(name)).state == "running"
    (status,) = [each for each in await own.fleet.nodes() if each.node == own.agent.name]
    assert status.info.state == "up"
    await own.node.delete(name, force=True)
    await own.told.event(name, "deleted")
    assert own.told.types(name) == ["created", "started", "exited", "deleted"]
    assert await stop(own.agent) == 0


async def test_take_over_turns_it_round(own: Site, world: World) -> None:
    await start(own.agent)
    name = await own.run()
    pid = (await own.node.inspect(name)).pid
    assert pid is not None
    init = psutil.Process(pid)
    with world.agent(own.agent.name) as heir:
        heir.arguments.append("--take-over")
        await start(heir)
        await asyncio.to_thread(own.agent.wait_for_log, "twin-found")
        assert await ended(own.agent) == 1
        assert init.is_running()
        assert await own.node.list(all=True) == []
        heirs = await own.run()
        await own.node.delete(heirs, force=True)
        assert await stop(heir) == 0
    # Its containers are still there for a life of its own.
    await start(own.agent)
    await own.told.event(name, "reattached")
    await own.node.delete(name, force=True)
    assert await stop(own.agent) == 0


async def test_a_cloned_folder_is_a_twin(own: Site, world: World) -> None:
    """A copied disk: the same node_id, so only the life tells that there are two."""
    await start(own.agent)
    name = await own.run()
    before = await own.node.info()
    with world.agent(own.agent.name) as clone:
        shutil.copytree(own.agent.folder / "state", clone.folder / "state")
        await start(clone, until="twin-found")
        assert await ended(clone) == 1
        assert before.node_id in clone.log.read_text()
    info = await own.node.info()
    assert (info.life, info.state) == (before.life, "up")
    assert (await own.node.inspect(name)).state == "running"
    await own.node.delete(name, force=True)
    assert await stop(own.agent) == 0


async def test_what_a_former_life_said_last_is_no_twin(own: Site, world: World) -> None:
    """Its last put comes late, as over a link that was down; and comes again, from the wire."""
    await start(own.agent)
    old = await own.node.info()
    await kill(own.agent)
    await start(own.agent)
    new = await own.node.info()
    client = await nats.connect(world.server.url)
    for _ in range(2):
        await client.jetstream(timeout=BOUND_S).publish(node_key(own.agent.name), encode(old))

    async def told_again() -> bool:
        nodes = await own.fleet.nodes()
        return any(each.info.life == new.life for each in nodes if each.node == own.agent.name)

    await eventually(told_again, "the living one has told of itself again")
    await client.close()
    assert (await own.node.info()).life == new.life
    assert await stop(own.agent) == 0


async def test_a_folder_belongs_to_one_agent_and_one_name(own: Site) -> None:
    await start(own.agent)
    name = await own.run()
    second = replace(own.agent, process=None)
    second.start(until=None)
    assert await ended(second) == 1
    said = own.agent.log.read_text()
    assert f"another agent (pid {own.agent.pid}) works on {own.agent.folder / 'state'}" in said
    assert (await own.node.inspect(name)).state == "running"
    await own.node.delete(name, force=True)
    assert await stop(own.agent) == 0

    other = replace(own.agent, name="another-name", process=None)
    other.write_config()
    other.start(until=None)
    assert await ended(other) == 1
    said = own.agent.log.read_text()
    assert f"belongs to node '{own.agent.name}'" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ("\n[limits]\nlanez = 3\n", "lanez"),
        ("\nnot toml", "TOML"),
    ],
)
async def test_a_configuration_with_a_mistake_names_it(
    own_agent: AgentProcess, wrong: str, named: str
) -> None:
    own_agent.write_config(wrong)
    own_agent.start(until=None)
    assert await ended(own_agent) == 1
    (said,) = own_agent.log.read_text().splitlines()
    assert said.startswith("wharfside-agent: ")
    assert named in said
    assert str(own_agent.config) in said
    assert not (own_agent.folder / "state").exists()
