"""The server comes late, dies, or forgets: nothing is lost, nothing is told twice."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace

import nats
import pytest
from tests.chaos.processes import monitor_of, over, pid_of
from tests.chaos.published import waiting, wanting_of
from tests.integration.fifos import shell
from tests.integration.world import (
    Site,
    World,
    bootstrap,
    everything,
    kill,
    open_site,
    start,
    stop,
)
from tests.support.agent import AgentProcess
from tests.support.event_order import violations
from tests.support.eventually import eventually
from tests.support.nats_server import NatsServer

from wharfside_client import connect
from wharfside_client.specs import container
from wharfside_protocol.assets import EVT


async def test_killed_while_things_end(site: Site, world: World) -> None:
    """The node goes on by itself, and tells what was when the server is back."""
    ending = [await site.run_with_cues() for _ in range(4)]
    lives, cues = await site.run_with_cues()
    removed, removed_cues = site.name(), site.cues()
    script = shell("read code </cue/go; exit $code")
    await site.make(removed, script, mounts=[removed_cues.mount], auto_remove=True)
    for name in [*(name for name, _ in ending), lives, removed]:
        await site.told.event(name, "started")
    monitors = [monitor_of(await pid_of(site, name)) for name, _ in ending]

    world.server.kill()
    for code, (_name, each) in enumerate(ending):
        each.go(str(code))
    removed_cues.go("7")
    for monitor in monitors:
        await over(monitor.pid)
    await asyncio.to_thread(world.server.start)

    for code, (name, _cues) in enumerate(ending):
        assert (await site.told.exit(name)).exit_code == code
    assert (await site.told.exit(removed)).exit_code == 7
    await site.told.event(removed, "deleted")
    await site.node.ping(unreachable_s=20)
    cues.go("5")
    assert (await site.told.exit(lives)).exit_code == 5
    for name, _cues in [*ending, (lives, cues)]:
        assert site.told.types(name) == ["created", "started", "exited"]


async def test_server_and_agent_killed_with_the_outbox_full(
    site: Site, world: World, agent: AgentProcess
) -> None:
    name, cues = await site.run_with_cues()
    await site.told.event(name, "started")
    monitor = monitor_of(await pid_of(site, name))
    world.server.kill()
    cues.go("5")
    await over(monitor.pid)
    await kill(agent)
    await asyncio.to_thread(world.server.start)
    await start(agent)
    assert (await site.told.exit(name)).exit_code == 5
    await site.node.delete(name, unreachable_s=20)
    await site.told.event(name, "deleted")
    told = [each for each in site.told.types(name) if each != "reattached"]
    assert told == ["created", "started", "exited", "deleted"]


@pytest.fixture
def own_server(world: World) -> Iterator[NatsServer]:
    """A server of the test's own with nothing on it; it has had a port, and is down."""
    server = NatsServer(world.folder / world.new_name("nats"))
    with server:
        server.stop()
        yield server


async def test_the_agent_may_be_first(world: World, own_server: NatsServer) -> None:
    """Before the server, and before the streams: what is told meanwhile waits."""
    with world.agent("early", server=own_server.url) as agent:
        await start(agent, until="bus-unreachable")
        assert "Connection refused" in agent.log_text()
        await asyncio.to_thread(own_server.start)
        await asyncio.to_thread(agent.wait_for_log, "bus-connected")
        async with connect(own_server.url) as fleet:
            node = fleet.node("early")
            await node.run(container("c", ["/bin/sh", "-c", "exit 3"], rootfs=str(world.rootfs)))
            told = await node.wait("c")
            await node.delete("c")

            async def says_so() -> bool:
                return await wanting_of(node) == {"streams": "no-stream"}

            await eventually(says_so, "no-stream in info", within_s=20)
            await fleet.setup.bootstrap()

            async def all_well() -> bool:
                return await wanting_of(node) == {} and waiting(agent) == 0

            await eventually(all_well, "all events published", within_s=20)
        events = await everything(own_server.url)
        # its audits come once a second: some may be later than we look
        assert sorted(event.seq for event in events) == [*range(1, len(events) + 1)]
        ours = [event for event in events if event.container == "c"]
        assert [event.type for event in ours] == ["created", "started", "exited", "deleted"]
        assert told.exit is not None
        assert ours[2].data["exit_code"] == told.exit.exit_code == 3
        assert not violations(events)
        assert await stop(agent) == 0


async def test_a_stream_made_anew_goes_on_where_the_node_is(
    world: World, own_server: NatsServer
) -> None:
    """Its sequences begin at one again: lower than what the lanes expect."""
    own_server.start()
    await bootstrap(own_server.url)
    with world.agent("lasting", server=own_server.url) as agent:
        await start(agent)
        async with open_site(replace(world, server=own_server), agent) as site:
            name, cues = await site.run_with_cues()
            await site.told.event(name, "started")
            await _delete_stream(own_server.url)
            await bootstrap(own_server.url)
            cues.go("5")
            await site.node.wait(name)
            await site.node.delete(name)

            async def has_all() -> bool:
                told = [e.type for e in await everything(own_server.url) if e.container == name]
                return told == ["exited", "deleted"]

            await eventually(has_all, "the events since", within_s=20)
        assert await stop(agent) == 0


async def test_a_new_store_on_an_old_stream(world: World, own_agent: AgentProcess) -> None:
    """state_dir was lost: the lanes of the old store are found in the stream, and go on."""
    await start(own_agent)
    async with open_site(world, own_agent) as site:
        for name in ("same", "gone"):
            await site.make(name)
            await site.node.delete(name, force=True)
            await site.told.event(name, "deleted")
        before = await site.node.info()
        assert await stop(own_agent) == 0
        shutil.rmtree(own_agent.folder / "state")
        # An epoch is a second: the next store is not made within the same one.
        await eventually(lambda: int(time.time()) > before.epoch, "the next second")
        await start(own_agent)
        after = await site.node.info()
        assert after.node_id != before.node_id
        assert after.epoch > before.epoch
        for name in ("same", "never-seen"):
            await site.make(name)
            await site.node.delete(name, force=True)
        life = ["created", "started", "exited", "deleted"]
        await site.told.event("same", "deleted", nth=2)
        assert site.told.types("same") == life * 2
        await site.told.event("never-seen", "deleted")
        assert site.told.types("never-seen") == life
        assert await stop(own_agent) == 0


async def _delete_stream(url: str) -> None:
    client = await nats.connect(url)
    try:
        await client.jetstream().delete_stream(EVT)
    finally:
        await client.close()
