"""The watch over real agents: the whole state, then every change, whatever the bus does."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.integration.bounds import bounded
from tests.integration.client_kit import opened_bus
from tests.integration.fifos import shell
from tests.integration.watching import (
    Seen,
    comes_to_be_as_listed,
    folded,
    place_of,
    same_as_listed,
    word_of,
)
from tests.integration.world import Site, World, bootstrap, kill, open_site, start, stop
from tests.support.agent import AgentProcess
from tests.support.nats_server import NatsServer

from wharfside_client import NodeChanged, Place, Resynced, Watch, connect
from wharfside_client.bus import Bus
from wharfside_client.jetstream import JetStream
from wharfside_client.setup import Setup
from wharfside_protocol.assets import CONTAINERS_BUCKET, EVT, container_key
from wharfside_protocol.errors import WharfsideError
from wharfside_protocol.subjects import Subjects

LIFE = ["created", "running", "paused", "running", "running stopping", "stopped", "gone"]


async def live(site: Site, name: str) -> None:
    """A container's whole life, with all that can be told of it."""
    await site.make(name)
    await site.node.pause(name)
    await site.node.resume(name)
    await site.node.exec(name, site.spec(name, shell("exit 3")).process)
    await site.node.stop(name, grace_s=0)
    await site.node.delete(name)


async def test_the_state_first_and_then_every_change(site: Site) -> None:
    before, after = site.name("before"), site.name("after")
    await site.make(before, labels={"a": "b"})
    await site.told.event(before, "started")
    stopped = await site.run(shell("exit 3"))
    await site.told.exit(stopped)
    async with site.fleet.watch() as watch:
        seen = Seen(watch)
        state = await seen.first()
        assert state.nodes["n1"].info.state == "up"
        assert not state.nodes["n1"].silent
        await same_as_listed(site.fleet, watch, "n1")
        assert set(state.containers) == set(watch.state.containers)

        await live(site, after)
        await seen.gone(Place("n1", after))
        assert seen.of(Place("n1", after)) == LIFE
        seen.check_each_once()
        await same_as_listed(site.fleet, watch, "n1")


async def test_a_state_that_no_bucket_has_yet(site: Site) -> None:
    """A projection follows a moment after its event: the first state is exact all the same."""
    name = site.name()
    await site.make(name)
    await site.told.event(name, "started")
    async with site.fleet.watch() as watch:
        await Seen(watch).first()
        await same_as_listed(site.fleet, watch, "n1")


async def test_the_token_of_a_former_watch(site: Site) -> None:
    """What was before it is the state, what has been since is told, change by change."""
    lives, ends = site.name("lives"), site.name("ends")
    await site.make(lives)
    await site.make(ends)
    async with site.fleet.watch() as watch:
        seen = Seen(watch)
        await seen.first()
        await comes_to_be_as_listed(site.fleet, seen, "n1")
        before, token = folded(watch, "n1"), watch.seq
    new = site.name("new")
    await live(site, new)
    # each has a lane of its own to the stream: now it lies there before what follows
    await site.told.event(new, "deleted")
    await site.node.stop(ends, grace_s=0)
    await site.node.delete(ends)
    async with site.fleet.watch(since=token) as watch:
        seen = Seen(watch)
        await seen.first()
        assert folded(watch, "n1") == before
        await seen.gone(Place("n1", ends))
        assert seen.of(Place("n1", new)) == LIFE
        assert seen.of(Place("n1", ends)) == ["running stopping", "stopped", "gone"]
        seen.check_each_once()
        await same_as_listed(site.fleet, watch, "n1")


async def test_a_former_state_that_no_bucket_has_yet(site: Site) -> None:
    """As if its projection were late: its youngest events tell of it, before the token, too."""
    name = site.name()
    await site.make(name)
    async with site.fleet.watch() as watch:
        seen = Seen(watch)
        await seen.first()
        await comes_to_be_as_listed(site.fleet, seen, "n1")
        before, token = folded(watch, "n1"), watch.seq
    async with opened_bus(site.world.server.url) as bus:
        await JetStream(bus).publish(container_key("n1", name), b"", {"KV-Operation": "DEL"})
    async with site.fleet.watch(since=token) as watch:
        await Seen(watch).first()
        assert folded(watch, "n1") == before


async def test_a_part_of_the_fleet(site: Site) -> None:
    ours, other = site.name("ours"), site.name("other")
    async with site.fleet.watch(nodes=["n1"], labels={"team": "a"}) as watch:
        seen = Seen(watch)
        await seen.first()
        await site.make(other, labels={"team": "b"})
        await site.make(ours, labels={"team": "a", "x": "y"})
        await site.node.delete(other, force=True)
        await site.node.delete(ours, force=True)
        await seen.gone(Place("n1", ours))
        assert seen.of(Place("n1", other)) == []
        told = [word for word in seen.of(Place("n1", ours)) if word != "running stopping"]
        assert told == ["created", "running", "stopped", "gone"]
    async with site.fleet.watch(nodes=["elsewhere"]) as watch:
        state = await Seen(watch).first()
        assert (dict(state.nodes), dict(state.containers)) == ({}, {})


async def test_the_server_killed_in_between(site: Site, world: World) -> None:
    """The node goes on without it; all that was is told, once, when it is back."""
    ends, cues = await site.run_with_cues()
    async with site.fleet.watch() as watch:
        seen = Seen(watch)
        await seen.first()
        world.server.kill()
        cues.go("5")
        await asyncio.to_thread(world.server.start)
        ended = await seen.is_(Place("n1", ends), "stopped")
        assert ended.new.exit is not None
        assert ended.new.exit.exit_code == 5
        await site.node.ping(unreachable_s=20)
        name = site.name()
        await live(site, name)
        await seen.gone(Place("n1", name))
        assert seen.of(Place("n1", name)) == LIFE
        seen.check_each_once()
        await same_as_listed(site.fleet, watch, "n1")


async def test_the_agent_killed_in_between(site: Site, agent: AgentProcess) -> None:
    ends, cues = await site.run_with_cues()
    lives = await site.run()
    async with site.fleet.watch() as watch:
        seen = Seen(watch)
        await seen.first()
        await kill(agent)
        cues.go("6")
        await start(agent)
        ended = await seen.is_(Place("n1", ends), "stopped")
        assert ended.new.exit is not None
        assert ended.new.exit.exit_code == 6
        assert Place("n1", lives) in watch.state.containers
        await comes_to_be_as_listed(site.fleet, seen, "n1")
        seen.check_each_once()


@pytest.fixture
def second(world: World) -> Iterator[AgentProcess]:
    with world.agent("n2") as agent:
        agent.start(until="bus-connected")
        yield agent


async def test_two_nodes_and_whatever_happens_on_them(
    site: Site, world: World, second: AgentProcess
) -> None:
    chance = random.Random(7)
    async with site.fleet.watch() as watch:
        seen = Seen(watch)
        await seen.first()
        following = asyncio.create_task(seen.until(lambda _: False, "no end"))
        async with connect(world.server.url) as fleet:
            await site.listed()
            await bounded(
                asyncio.gather(
                    *(act(site, fleet.node(node), chance) for node in ("n1", "n2", "n1", "n2"))
                ),
                "random work",
                120,
            )
        following.cancel()
        await asyncio.wait({following})
        await comes_to_be_as_listed(site.fleet, seen, "n1", "n2")
        seen.check_each_once()
        assert {place.node for place in watch.state.containers} == {"n1", "n2"}
        for view in await site.fleet.node("n2").list(all=True):
            await site.fleet.node("n2").delete(view.container, force=True)
        await comes_to_be_as_listed(site.fleet, seen, "n1", "n2")
        assert await stop(second) == 0
        down = await seen.until(
            lambda each: isinstance(each, NodeChanged) and each.new.info.state == "down", "n2 down"
        )
        assert isinstance(down, NodeChanged)
        assert down.new.node == "n2"


async def act(site: Site, node: object, chance: random.Random) -> None:
    """Ops at random on a few names; what is refused is part of it."""
    names = [site.name("any") for _ in range(3)]
    for _ in range(15):
        name = chance.choice(names)
        op = chance.choice(("run", "run", "end", "pause", "resume", "stop", "delete", "force"))
        with contextlib.suppress(WharfsideError):
            match op:
                case "run":
                    await node.run(site.spec(name))  # type: ignore[attr-defined]
                case "end":
                    await node.run(site.spec(name, shell("exit 3")))  # type: ignore[attr-defined]
                case "stop":
                    await node.stop(name, grace_s=0)  # type: ignore[attr-defined]
                case "force":
                    await node.delete(name, force=True)  # type: ignore[attr-defined]
                case _:
                    await getattr(node, op)(name)
    # whatever the others' turns made of the rest, there is something on each node
    await node.run(site.spec(site.name("stays")))  # type: ignore[attr-defined]


@pytest.fixture
def own_server(world: World) -> Iterator[NatsServer]:
    with NatsServer(world.folder / world.new_name("nats")) as server:
        yield server


async def test_the_streams_made_anew_under_it(world: World, own_server: NatsServer) -> None:
    """What the bus has forgotten its node knows: nothing is told to be gone that is there."""
    await bootstrap(own_server.url)
    with world.agent("lasting", server=own_server.url) as agent:
        await start(agent)
        async with (
            open_site(replace(world, server=own_server), agent) as site,
            opened_bus(own_server.url) as bus,
            Watch(bus, Subjects(), resync_s=0.2) as watch,
        ):
            await forgotten(site, bus, Seen(watch))
            await site.clear()
        assert await stop(agent) == 0


async def forgotten(site: Site, bus: Bus, seen: Seen) -> None:
    stays = Place("lasting", await site.run())
    await seen.is_(stays, "running")
    ends = Place("lasting", await site.run())
    await seen.is_(ends, "running")
    for stream in (EVT, f"KV_{CONTAINERS_BUCKET}"):
        await JetStream(bus).api(f"STREAM.DELETE.{stream}")
    await Setup(bus).bootstrap()
    begun = len(seen.items)
    await site.node.delete(ends.container, force=True)
    told = await seen.until(lambda each: isinstance(each, Resynced), "resynced")
    assert isinstance(told, Resynced)
    assert "made anew" in told.because
    await comes_to_be_as_listed(site.fleet, seen, "lasting")
    since = seen.items[begun:]
    assert [each for each in since if place_of(each) == stays] == []
    assert [word_of(each) for each in since if place_of(each) == ends][-1] == "gone"
    await site.node.stop(stays.container, grace_s=0)
    await seen.is_(stays, "stopped")
