"""One server of three dies, whichever that is: the node goes on, nothing is lost or doubled."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator

import pytest
from tests.chaos.cluster_kit import ELECTED_S, NODE, ClusterWorld, make_cluster_world
from tests.chaos.published import wanting_of
from tests.integration.bus_kit import open_bus
from tests.integration.client_kit import opened_bus
from tests.integration.fixtures import NEEDED
from tests.integration.world import Site, visit
from tests.support.agent import AgentProcess
from tests.support.eventually import eventually
from tests.support.nats_server import NatsServer
from tests.support.requirements import need

from wharfside_agent.ports.bus import NoStream, WrongSequence
from wharfside_client import Pending, direct
from wharfside_client.calls import new_command_id
from wharfside_client.direct import read_last
from wharfside_client.errors import NotSetUp
from wharfside_client.jetstream import JetStream
from wharfside_protocol.assets import EVT
from wharfside_protocol.envelope import Result


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterWorld]:
    for name in NEEDED:
        need(name)
    with make_cluster_world(tmp_path_factory.mktemp("cluster")) as made:
        yield made


@pytest.fixture(scope="module")
def agent(world: ClusterWorld) -> Iterator[AgentProcess]:
    with world.running(NODE) as agent:
        yield agent


@pytest.fixture
async def site(world: ClusterWorld, agent: AgentProcess) -> AsyncIterator[Site]:
    # One that the test before has killed is back when it takes clients, and knows the others later.
    await world.healed()
    async with visit(world, agent) as site:
        yield site


@pytest.mark.parametrize("replicas", [1, 3])
async def test_who_checks_what_first(world: ClusterWorld, replicas: int) -> None:
    """R1 looks at the sequence first, R3 at the id; stored it is once."""
    subject = f"seq{replicas}.a"
    async with opened_bus(world.url) as bus, open_bus(*world.url.split(",")) as kit:
        config = {"name": f"SEQ{replicas}", "subjects": [subject], "num_replicas": replicas}
        await JetStream(bus).api(f"STREAM.CREATE.SEQ{replicas}", config)

        async def publish(expected: int) -> int | str:
            try:
                return await kit.bus.publish(subject, b"x", message_id="one", expected=expected)
            except WrongSequence as wrong:
                return f"it is {wrong.actual}"
            except NoStream:
                return 0

        # Its leader answers the creation at once; the other servers learn of the subject after.
        assert await eventually(lambda: publish(0), "the stream is known") == 1
        assert await publish(0) == ("it is 1" if replicas == 1 else 1)
        assert await publish(1) == 1
        told = await JetStream(bus).api(f"STREAM.INFO.SEQ{replicas}")
        assert told["state"]["messages"] == 1


async def test_a_server_may_hear_late_of_what_there_is_to_read(
    world: ClusterWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes clients before that: they are not told to run bootstrap."""
    usual = direct.SPREAD_S
    monkeypatch.setattr(direct, "SPREAD_S", ELECTED_S)  # a busy cluster makes a stream in seconds
    async with opened_bus(world.url) as reader, opened_bus(world.url) as maker:
        reading = asyncio.create_task(read_last(reader, "LATE", "late"))
        await asyncio.sleep(0.2)
        assert not reading.done()
        config = {"name": "LATE", "subjects": ["late"], "allow_direct": True}
        await JetStream(maker).api("STREAM.CREATE.LATE", config)
        assert await reading is None
        monkeypatch.setattr(direct, "SPREAD_S", usual)
        with pytest.raises(NotSetUp):
            await read_last(reader, "NEVER", "never")


@pytest.mark.parametrize("victim", ["the agent's own", "the leader of events"])
async def test_a_server_dies_while_things_end(site: Site, world: ClusterWorld, victim: str) -> None:
    ending = [await site.run_with_cues() for _ in range(4)]
    await world.healed()
    if victim == "the agent's own":
        server = world.at((await site.node.info()).bus.server)
    else:
        server = await world.leader(EVT)
    await asyncio.to_thread(server.kill)
    try:
        for code, (_name, cues) in enumerate(ending):
            cues.go(str(code))
        assert (await site.node.info(unreachable_s=ELECTED_S)).node == NODE
        for code, (name, _cues) in enumerate(ending):
            assert (await site.told.exit(name)).exit_code == code
            assert site.told.types(name) == ["created", "started", "exited"]
    finally:
        await asyncio.to_thread(server.start)


async def test_streams_without_a_majority_are_told_as_they_are(
    site: Site, world: ClusterWorld
) -> None:
    """They were there, and answer nobody: nobody is told to run bootstrap."""
    name = await site.run()
    await site.told.event(name, "started")
    await world.healed()
    first, second, _ = world.cluster
    for server in (first, second):
        await asyncio.to_thread(server.kill)
    try:
        await site.node.pause(name, unreachable_s=ELECTED_S)
        await eventually(lambda: ready(site, {"streams": "unanswered"}), "told", within_s=ELECTED_S)
    finally:
        for server in (first, second):
            await asyncio.to_thread(server.start)
    await site.told.event(name, "paused")
    await eventually(lambda: ready(site, {}), "all is told", within_s=ELECTED_S, every_s=0.5)


async def ready(site: Site, wanting: dict[str, str]) -> bool:
    return await wanting_of(site.node, unreachable_s=ELECTED_S) == wanting


async def test_the_mailbox_is_away_and_comes_back(site: Site, world: ClusterWorld) -> None:
    """R1: its one server down, presence says so, rpc goes on, letters wait in the stream."""
    await world.healed()
    await has_mailbox(site, "ok")
    server = await world.mailbox_server()
    name, id_ = site.name(), new_command_id()
    await asyncio.to_thread(server.kill)
    try:
        await has_mailbox(site, "offline")
        with pytest.raises(Pending):
            await run(site, name, id_, timeout_s=0.5)
    finally:
        await asyncio.to_thread(server.start)
    result = await run(site, name, id_, timeout_s=ELECTED_S)
    assert result.ok
    await has_mailbox(site, "ok")
    await site.told.event(name, "started", cause=id_)
    assert site.told.types(name) == ["created", "started"]


@pytest.mark.soak
async def test_a_disk_is_lost(site: Site, world: ClusterWorld) -> None:
    """The mailbox begins again at the stream's start: what was done is not done again."""
    await world.healed()
    name, id_ = site.name(), new_command_id()
    assert (await run(site, name, id_, timeout_s=ELECTED_S)).ok
    server = await world.mailbox_server()
    await asyncio.to_thread(lose_disk, server)
    await world.healed()
    await eventually(lambda: repaired(site), "all is repaired", within_s=ELECTED_S, every_s=0.5)
    await has_mailbox(site, "ok")
    second = site.name()
    assert (await run(site, second, new_command_id(), timeout_s=ELECTED_S)).ok
    await site.told.event(second, "started")
    assert site.told.types(name) == ["created", "started"]


def lose_disk(server: NatsServer) -> None:
    server.kill()
    shutil.rmtree(server.directory / "jetstream")
    server.start()


async def repaired(site: Site) -> bool:
    """`later` says that its server does not answer yet, and to run it again."""
    reports = await site.fleet.setup.repair()
    return all(str(report.outcome) in ("created", "unchanged") for report in reports)


async def has_mailbox(site: Site, state: str) -> None:
    async def so() -> bool:
        return (await site.node.info(unreachable_s=ELECTED_S)).mailbox == state

    await eventually(so, f"mailbox {state}", within_s=ELECTED_S, every_s=0.2)


async def run(site: Site, name: str, id_: str, *, timeout_s: float) -> Result:
    spec = site.spec(name)
    return await site.node.request("run", spec, command_id=id_, durable=True, timeout_s=timeout_s)
