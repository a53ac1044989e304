"""Snapshots tell where a node stands; a resync makes its projections anew."""

from __future__ import annotations

import json

import nats
from tests.integration.bounds import BOUND_S
from tests.integration.cli_kit import typed
from tests.integration.world import Site, World, everything, open_site, start, stop
from tests.support.agent import AgentProcess
from tests.support.eventually import eventually

from wharfside_protocol.assets import container_key
from wharfside_protocol.codec import encode
from wharfside_protocol.inventory import inventory_hash
from wharfside_protocol.states import ContainerState
from wharfside_protocol.views import ContainerProjection


async def test_a_snapshot_can_be_checked_by_anyone(site: Site) -> None:
    """Its hash is that over the states which the events before it told."""
    names = [await site.run() for _ in range(3)]
    await site.node.pause(names[1])
    done = await site.fleet.resync("n1")
    told = await site.told.until(
        lambda event: (
            event.type == "snapshot"
            and event.data["inventory_hash"] == done.snapshot.inventory_hash
        ),
        "the snapshot",
    )
    assert told.data["containers"] == len(names)
    views = await site.node.list(all=True)
    ours = inventory_hash(
        (view.container, view.incarnation, view.run, view.revision, str(view.state))
        for view in views
    )
    assert told.data["inventory_hash"] == ours
    assert told.data["published_through"] < told.seq
    await site.node.resume(names[1])
    again = (await site.fleet.resync("n1")).snapshot
    assert again.inventory_hash != ours


def test_the_hash_is_what_the_docs_say() -> None:
    """Written down: others compute it, too."""
    entries = [("web", "01JD0000000000000000000001", 1, 3, "running"), ("db", "01", 2, 1, "x")]
    assert inventory_hash(entries) == inventory_hash(reversed(entries))
    assert inventory_hash([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    # printf 'db 01 2 1 x\nweb 01JD0000000000000000000001 1 3 running\n' | sha256sum
    assert inventory_hash(entries) == WRITTEN


WRITTEN = "0af4434fff97405983b4b58a488274aefcf0867e4770be4e6f9fd73159726419"


async def test_every_so_often(world: World) -> None:
    with world.agent(world.new_name("often")) as agent:
        agent.write_config("\n[snapshot]\nevery_s = 0.5\n")
        await start(agent)
        async with open_site(world, agent) as site:
            await site.listed()
            await site.told.until(
                lambda event: event.node == agent.name and event.type == "snapshot",
                "three of them",
                nth=3,
            )
        assert await stop(agent) == 0


async def test_projections_are_made_anew(site: Site, world: World) -> None:
    """Lost ones are put, and those of a store that is gone are removed."""
    name = await site.run()
    key = container_key("n1", name)
    stale = ContainerProjection(
        node="n1",
        container="stale",
        incarnation="01JD0000000000000000000000",
        run=1,
        revision=1,
        epoch=1,
        seq=1,
        state=ContainerState.RUNNING,
        at="2026-01-01T00:00:00Z",
    )
    await eventually(lambda: _runs(site, name), "its last change is projected")
    client = await nats.connect(world.server.url)
    try:
        js = client.jetstream(timeout=BOUND_S)
        await js.publish(container_key("n1", "stale"), encode(stale))
        await js.publish(key, b"", headers={"KV-Operation": "DEL"})
    finally:
        await client.close()
    assert not await _has(site, name)
    assert await _has(site, "stale")
    done = await typed(world.server.url, "resync", "n1", "--json")
    assert done.code == 0, done
    assert json.loads(done.out)["removed"] == ["stale"]
    assert not await _has(site, "stale")
    await eventually(lambda: _has(site, name), "it is projected again")
    assert (await site.fleet.resync("n1")).removed == []


async def _has(site: Site, name: str) -> bool:
    return any(
        (each.node, each.container) == ("n1", name) for each in await site.fleet.containers()
    )


async def _runs(site: Site, name: str) -> bool:
    found = {each.container: each.state for each in await site.fleet.containers()}
    return found.get(name) == ContainerState.RUNNING


async def test_a_snapshot_at_the_start(world: World, own_agent: AgentProcess) -> None:
    await start(own_agent)
    async with open_site(world, own_agent) as site:
        await site.listed()

        async def told() -> bool:
            types = [e.type for e in await everything(world.server.url) if e.node == own_agent.name]
            return types == ["up", "snapshot"]

        await eventually(told, "up, and then the snapshot")
    assert await stop(own_agent) == 0
