"""What the mailbox waits for: streams that nobody made yet, and room on the node."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from tests.integration.client_kit import opened_bus
from tests.integration.gates import Gates
from tests.integration.test_durable import WAIT_S, has_mailbox
from tests.integration.world import Site, World, bootstrap, open_site, start
from tests.support.agent import AgentProcess
from tests.support.eventually import eventually

from wharfside_client.jetstream import JetStream
from wharfside_protocol.assets import CMD, RES
from wharfside_protocol.command_base import ContainerArgs
from wharfside_protocol.commands import ListArgs

ROOM = 2


@pytest.fixture(scope="module")
def gated_agent(world: World, gates: Gates) -> Iterator[AgentProcess]:
    with world.agent("n1") as agent:
        agent.write_config(f"\n[limits]\nmailbox = {ROOM}\n")
        agent.start(until="bus-connected", **gates.environment)
        yield agent
        assert agent.stop() == 0


@pytest.fixture
async def with_mailbox(gated: Site) -> AsyncIterator[Site]:
    await gated.fleet.setup.add_node("n1")
    await has_mailbox(gated, "ok")
    yield gated


async def test_what_has_no_room_waits_in_the_stream(with_mailbox: Site, gates: Gates) -> None:
    site = with_mailbox
    name, free = await site.run(), await site.run()
    args = ContainerArgs(container=name)
    with gates.hold("pause") as held:
        first = await site.node.post("pause", args)
        await held.ready()
        second = await site.node.post("resume", args)
        async with second:
            await second.accepted(WAIT_S)
        third = await site.node.post("signal", ContainerArgs(container=free))

        async def left() -> bool:
            """The third is not with the node."""
            async with opened_bus(site.world.server.url) as bus:
                told = await JetStream(bus).api(f"CONSUMER.INFO.{CMD}.n1")
            return bool(told["num_pending"] == 1 and told["num_ack_pending"] == 0)

        await eventually(left, "two taken, one left", within_s=WAIT_S)
        # rpc goes on meanwhile
        assert await site.node.request("list", ListArgs())
        held.go()
        for posted in (first, second, third):
            async with posted:
                assert (await posted.result(WAIT_S)).ok


async def test_results_wait_for_their_stream(with_mailbox: Site) -> None:
    site = with_mailbox
    name = await site.run()
    async with await site.node.post("pause", ContainerArgs(container=name)) as before:
        assert (await before.result(WAIT_S)).ok
    async with opened_bus(site.world.server.url) as bus:
        await JetStream(bus).api(f"STREAM.DELETE.{RES}")
    posted = await site.node.post("resume", ContainerArgs(container=name))

    async def not_told() -> bool:
        return (await site.node.info()).ready == {"streams": "unanswered"}

    await eventually(not_told, "no stream takes it any more", within_s=WAIT_S)
    await site.told.event(name, "resumed")
    await bootstrap(site.world.server.url)
    async with posted:
        assert (await posted.result(WAIT_S)).ok

    async def all_well() -> bool:
        return (await site.node.info()).ready == {}

    await eventually(all_well, "all is told", within_s=WAIT_S)


async def test_an_agent_before_its_streams(world: World) -> None:
    """It starts, says what is missing, and takes what is posted once there is a mailbox."""
    async with opened_bus(world.server.url) as bus:
        await JetStream(bus).api(f"STREAM.DELETE.{CMD}")
    name = world.new_name("late")
    with world.agent(name) as agent:
        async with open_site(world, agent) as site:
            await start(agent)
            await has_mailbox(site, "missing")
            await bootstrap(world.server.url)
            posted = await site.node.post("create", site.spec("c1"))
            await site.fleet.setup.add_node(name)
            async with posted:
                assert (await posted.result(WAIT_S)).ok
            await site.node.delete("c1")
            await site.told.event("c1", "deleted")
            assert await asyncio.to_thread(agent.stop) == 0
