"""The outbox when nothing takes its events: bounded, honest about it, and never twice."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import nats
import pytest
from tests.chaos.published import all_published, wanting_of
from tests.integration.raw import run_once
from tests.integration.world import (
    Site,
    World,
    bootstrap,
    everything,
    kill,
    open_site,
    restart,
    start,
    stop,
)
from tests.support.agent import AgentProcess
from tests.support.event_order import violations
from tests.support.eventually import eventually
from tests.support.nats_server import NatsServer

from wharfside_protocol.assets import EVT
from wharfside_protocol.errors import Busy
from wharfside_protocol.events import TERMINAL_TYPES, Event

SMALL = "\n[outbox]\nmax_events = 20\n"


@pytest.fixture
def own_server(world: World) -> Iterator[NatsServer]:
    with NatsServer(world.folder / world.new_name("nats")) as server:
        yield server


@asynccontextmanager
async def alone(
    world: World, server: NatsServer, config: str, *, whole: bool = True
) -> AsyncIterator[Site]:
    """A node with a server of its own, and both in the test's hand.

    `whole`: at the end the stream has all that was ever told.
    """
    await bootstrap(server.url)
    with world.agent(world.new_name("node"), server=server.url) as agent:
        agent.write_config(config)
        await start(agent)
        async with open_site(replace(world, server=server), agent) as site:
            await site.listed()
            yield site
        assert await stop(agent) == 0
    assert not (violations(await everything(server.url)) if whole else [])


@asynccontextmanager
async def _jetstream(server: NatsServer) -> AsyncIterator[nats.js.JetStreamContext]:
    client = await nats.connect(server.url)
    try:
        yield client.jetstream()
    finally:
        await client.close()


async def _turn_the_stream_away(server: NatsServer) -> None:
    """It keeps what it has and takes no more events; bootstrap brings it back."""
    async with _jetstream(server) as js:
        config = (await js.stream_info(EVT)).config
        await js.update_stream(replace(config, subjects=["turned.away"]))


async def _drops(url: str) -> list[Event]:
    return [event for event in await everything(url) if event.type == "events-dropped"]


async def _freeze_and_thaw(site: Site, name: str, times: int) -> None:
    for _ in range(times):
        await site.node.pause(name)
        await site.node.resume(name)


async def test_what_a_full_outbox_drops_is_told(world: World, own_server: NatsServer) -> None:
    """Ends are kept, the rest is named; over a restart of the agent, too."""
    async with alone(world, own_server, SMALL) as site:
        name, cues = await site.run_with_cues()
        await eventually(lambda: _told(own_server, name, "started"), "started is told")
        await _turn_the_stream_away(own_server)
        await _freeze_and_thaw(site, name, 12)
        assert await wanting_of(site.node) == {"streams": "unanswered", "outbox": "full"}
        await restart(site.agent)
        await _freeze_and_thaw(site, name, 2)
        cues.go("3")
        await site.node.wait(name)
        await site.node.delete(name)
        await bootstrap(own_server.url)
        await eventually(lambda: all_published(site), "the outbox is empty")
        (drop,) = await eventually(lambda: _drops(own_server.url), "it is told")
        assert not set(drop.data["types"]) & TERMINAL_TYPES
        assert {"paused", "resumed"} <= set(drop.data["types"])
        ends = [event for event in await everything(own_server.url) if event.container == name]
        assert [event.type for event in ends][-2:] == ["exited", "deleted"]
        assert ends[-2].data["exit_code"] == 3
        assert drop.seq > drop.data["to"] >= ends[-2].prev_seq  # type: ignore[operator]
        # All is as ever again.
        await site.make(name)
        await site.node.delete(name, force=True)
        await eventually(lambda: _told(own_server, name, "deleted", 2), "the next life is told")


async def _told(server: NatsServer, name: str, type_: str, times: int = 1) -> bool:
    told = [event.type for event in await everything(server.url) if event.container == name]
    return told.count(type_) >= times


async def test_no_new_work_where_only_ends_have_room(world: World, own_server: NatsServer) -> None:
    async with alone(world, own_server, SMALL) as site:
        await _turn_the_stream_away(own_server)
        names = []
        with pytest.raises(Busy, match=r"max_events") as refused:
            for _ in range(30):
                spec = site.spec(site.name(), ("/bin/true",))
                await run_once(own_server.url, site.agent.name, spec)
                names.append(spec.container)
                await site.node.wait(names[-1])
        assert refused.value.details == {"outbox": "full"}
        for name in names:
            await site.node.delete(name)  # never refused: it helps
        await bootstrap(own_server.url)
        await eventually(lambda: all_published(site), "the outbox is empty")
        told = await everything(own_server.url)
        for name in names:
            types = [event.type for event in told if event.container == name]
            assert types[-2:] == ["exited", "deleted"]
        await site.make(names[0])
        await site.node.delete(names[0], force=True)


LOSE_ACKS = """
CREATE TRIGGER lose_event BEFORE DELETE ON outbox BEGIN SELECT RAISE(IGNORE); END;
CREATE TRIGGER lose_place BEFORE UPDATE OF last_acked ON lanes BEGIN SELECT RAISE(IGNORE); END;
"""
KEEP_ACKS = "DROP TRIGGER lose_event; DROP TRIGGER lose_place;"


def _tamper(agent: AgentProcess, script: str) -> None:
    """As if each commit of a PubAck were the one that a crash loses."""
    path = Path(agent.folder / "state" / "store.sqlite")
    with contextlib.closing(sqlite3.connect(path, timeout=60)) as db:
        db.executescript(script)


async def test_an_ack_that_was_lost_beyond_the_duplicate_window(
    world: World, own_server: NatsServer
) -> None:
    """The stream no longer knows the id; the sequence tells that it is stored."""
    async with alone(world, own_server, "\n[outbox]\nrecognized_s = 0.5\n") as site:
        async with _jetstream(own_server) as js:
            config = (await js.stream_info(EVT)).config
            await js.update_stream(replace(config, duplicate_window=0.5))
        name, cues = await site.run_with_cues()
        await site.told.event(name, "started")
        await eventually(lambda: all_published(site), "no ack is under way")
        await asyncio.to_thread(_tamper, site.agent, LOSE_ACKS)
        cues.go("3")
        await site.told.exit(name)
        await kill(site.agent)
        await asyncio.to_thread(_tamper, site.agent, KEEP_ACKS)
        await asyncio.sleep(1)  # the window passes, by the server's clock
        await start(site.agent)
        await site.node.delete(name)
        await site.told.event(name, "deleted")
        assert site.told.types(name) == ["created", "started", "exited", "deleted"]


async def test_a_stream_that_has_expired(world: World, own_server: NatsServer) -> None:
    """Each lane begins at nothing again; what waits is told, once."""
    async with alone(world, own_server, "", whole=False) as site:
        name, cues = await site.run_with_cues()
        await site.told.event(name, "started")
        async with _jetstream(own_server) as js:
            config = (await js.stream_info(EVT)).config
            await js.update_stream(replace(config, max_age=1.0, duplicate_window=1.0))

            async def empty() -> bool:
                return (await js.stream_info(EVT)).state.messages == 0

            await eventually(empty, "all has expired")
            await js.update_stream(config)
        cues.go("3")
        await site.told.exit(name)
        await site.node.delete(name)
        await site.told.event(name, "deleted")
        assert site.told.types(name) == ["created", "started", "exited", "deleted"]
        await _only_since(own_server, site, name)


async def _only_since(server: NatsServer, site: Site, name: str) -> None:
    told = [event.type for event in await everything(server.url) if event.container == name]
    assert told == ["exited", "deleted"], site.agent.log_text()
