"""Capacity over the real bus: never more promised than there is, whatever races or dies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from tests.integration.fifos import SLEEPS, shell
from tests.integration.world import Site, World, kill, open_site, start
from tests.support.agent import AgentProcess

from wharfside_protocol.commands import CreateArgs
from wharfside_protocol.errors import Denied, WharfsideError
from wharfside_protocol.specs import Limits, Restart
from wharfside_protocol.views import CapacityView

pytestmark = pytest.mark.requires("root", "crun", "runc", "conmon", "busybox-static")

MIB = 1024 * 1024
ROOM = """
[capacity]
enforce = ["memory", "cpu", "pids"]
total = { memory_mib = 1000, cpu_percent = 800, pids = 10000 }
reserve = { memory_mib = 40, cpu_percent = 0, pids = 0 }
unlimited = { memory_mib = 100, cpu_percent = 1, pids = 1 }
containers = 9
"""
EACH_MIB = 300
FIT = 3


@pytest.fixture(scope="module")
def room_agent(world: World) -> Iterator[AgentProcess]:
    with world.running("room", ROOM) as agent:
        yield agent


@pytest.fixture
async def room(world: World, room_agent: AgentProcess) -> AsyncIterator[Site]:
    async with open_site(world, room_agent) as site:
        yield site
        await site.clear()


def sized(
    site: Site, memory_mib: int, args: tuple[str, ...] = SLEEPS, **others: object
) -> CreateArgs:
    limits = Limits(memory_bytes=memory_mib * MIB)
    return site.spec(site.name(), args, limits=limits, **others)


async def view(site: Site) -> CapacityView:
    found = (await site.node.info()).capacity
    assert found is not None
    return found


async def promised_mib(site: Site) -> float:
    return (await view(site)).promised.memory_bytes / MIB


async def tried(site: Site, spec: CreateArgs) -> WharfsideError | None:
    try:
        await site.node.create(spec)
    except WharfsideError as error:
        return error
    return None


async def test_creates_at_once_are_not_promised_the_same_room(room: Site) -> None:
    specs = [sized(room, EACH_MIB) for _ in range(8)]
    outcomes = await asyncio.gather(*(tried(room, spec) for spec in specs))
    refused = [each for each in outcomes if each is not None]
    assert len(refused) == len(specs) - FIT
    for error in refused:
        assert isinstance(error, Denied)
        assert error.details["rule"] == "capacity.memory"
        assert error.details["wanted"] == EACH_MIB * MIB
        assert error.details["free"]["memory_bytes"] == (960 - FIT * EACH_MIB) * MIB
    found = await view(room)
    assert found.promised.memory_bytes == FIT * EACH_MIB * MIB
    assert found.total.memory_bytes == 960 * MIB
    assert len(await room.node.list(all=True)) == FIT


async def test_what_stops_frees_its_room_and_needs_it_again(room: Site) -> None:
    first = sized(room, 500, shell("exit 0"))
    await room.node.run(first)
    await room.node.wait(first.container)
    assert await promised_mib(room) == 0
    await room.node.create(sized(room, 500))
    told = await room.node.policy_check("start", {"container": first.container})
    with pytest.raises(Denied) as denied:
        await room.node.start(first.container)
    assert told.error == denied.value.to_body()
    assert (await room.node.inspect(first.container)).run == 1


async def test_starts_at_once_of_stopped_ones_are_not_promised_the_same_room(room: Site) -> None:
    specs = [sized(room, 500) for _ in range(3)]
    for spec in specs:
        await room.node.run(spec)
        await room.node.stop(spec.container, grace_s=0)
    starts = (room.node.start(spec.container) for spec in specs)
    outcomes = await asyncio.gather(*starts, return_exceptions=True)
    assert sum(isinstance(each, Denied) for each in outcomes) == 2
    assert await promised_mib(room) == 500


async def test_a_restart_that_is_due_keeps_its_room(room: Site) -> None:
    spec = sized(room, 600, shell("exit 1"), restart=Restart(policy="always"))
    await room.node.run(spec)
    await room.told.event(spec.container, "restarting")
    refused = await tried(room, sized(room, 600))
    assert isinstance(refused, Denied)
    assert refused.details["rule"] == "capacity.memory"


async def test_an_update_takes_what_grows_and_no_more(room: Site) -> None:
    name = sized(room, 300)
    await room.node.run(name)
    await room.node.run(sized(room, 300))
    with pytest.raises(Denied, match="no room for it here: memory"):
        await room.node.update(name.container, Limits(memory_bytes=700 * MIB))
    assert await promised_mib(room) == 600
    await room.node.update(name.container, Limits(memory_bytes=600 * MIB))
    assert await promised_mib(room) == 900


async def test_containers_without_limits_are_counted_and_there_is_a_most(room: Site) -> None:
    specs = [room.spec(room.name()) for _ in range(9)]
    for spec in specs:
        await room.node.create(spec)
    found = await view(room)
    assert (found.unlimited, found.promised.memory_bytes) == (9, 900 * MIB)
    assert found.containers_at_most == 9
    with pytest.raises(Denied) as denied:
        await room.node.create(room.spec(room.name()))
    assert denied.value.details["rule"] == "capacity.containers"


async def test_a_new_life_knows_it_and_keeps_more_than_it_would_take(own: Site) -> None:
    """Its owner made the node smaller meanwhile: nobody is thrown out, and nobody comes in."""
    own.agent.write_config(ROOM)
    await start(own.agent)
    try:
        specs = [sized(own, EACH_MIB) for _ in range(FIT)]
        for spec in specs:
            await own.node.run(spec)
        before = await view(own)
        await kill(own.agent)
        own.agent.write_config(ROOM.replace("memory_mib = 1000", "memory_mib = 640"))
        await start(own.agent)
        after = await view(own)
        assert after.promised == before.promised
        assert (after.total.memory_bytes, after.free.memory_bytes) == (600 * MIB, 0)
        assert {each.state for each in await own.node.list()} == {"running"}
        refused = await tried(own, sized(own, 1))
        assert isinstance(refused, Denied)
        await own.node.update(specs[0].container, Limits(memory_bytes=200 * MIB))
    finally:
        await own.clear()
