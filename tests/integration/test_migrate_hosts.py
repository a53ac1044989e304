"""A container moves between two hosts: what is theirs alone, their network above all, differs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from tests.integration.bounds import BOUND_S, bounded
from tests.integration.counting import COUNTS, Counting
from tests.integration.fixtures import NEEDED
from tests.integration.two_hosts import Hosts, open_hosts
from tests.integration.two_nodes import Pair
from tests.integration.world import Site, World, make_world
from tests.support.agent import AgentProcess
from tests.support.eventually import eventually
from tests.support.requirements import need, requires

from wharfside_client.moving import move
from wharfside_protocol.errors import RuntimeFailed
from wharfside_protocol.events import Event
from wharfside_protocol.exits import ExitReason
from wharfside_protocol.specs import Network

pytestmark = requires("criu", "bridge", "nsenter", "unshare", "iptables")

PORT = 7777
ECHOES = ("/bin/busybox", "nc", "-l", "-p", str(PORT), "-e", "/bin/cat")


@pytest.fixture(scope="module")
def hosts() -> Iterator[Hosts]:
    need("root")
    need("bridge")
    with open_hosts() as made:
        yield made


@pytest.fixture(scope="module")
def world(hosts: Hosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """As any other, but that its server is on the bridge."""
    for name in NEEDED:
        need(name)
    with make_world(tmp_path_factory.mktemp("world"), hosts.gateway) as made:
        yield made


@pytest.fixture(scope="module")
def agents(world: World, hosts: Hosts) -> Iterator[tuple[AgentProcess, AgentProcess]]:
    with world.agent("node-a") as a, world.agent("node-b") as b:
        for agent, host in ((a, "a"), (b, "b")):
            agent.within = hosts.within(host)
            agent.start(until="bus-connected")
        yield a, b
        for agent in (a, b):
            assert agent.stop() == 0


@pytest.mark.parametrize("moves", [2, pytest.param(20, marks=pytest.mark.soak)])
async def test_a_counter_goes_to_and_fro(pair: Pair, moves: int) -> None:
    """No number is lost or said twice; each host tells the end of its own incarnation."""
    name = await pair.a.run(COUNTS, checkpointable=True)
    here, there = pair.a, pair.b
    lived = [(here, (await here.node.inspect(name)).incarnation)]
    for _ in range(moves):
        await (await Counting.of(here, name)).further(1)
        moved = await move(here.node, name, there.node)
        assert (moved.incarnation, moved.restored_run) == (lived[-1][1], 1)
        here, there = there, here
        lived.append((here, moved.restored))
    counting = await Counting.of(here, name)
    await counting.further(1)
    await here.node.stop(name, grace_s=0)
    assert counting.written() == list(range(len(counting.written())))
    assert len({incarnation for _, incarnation in lived}) == moves + 1
    reasons = [(await _exit(pair, site, each)).data["reason"] for site, each in lived]
    assert reasons == [ExitReason.CHECKPOINT] * moves + [ExitReason.STOP]


async def _exit(pair: Pair, site: Site, incarnation: str) -> Event:
    """The one end of it that anybody has told."""

    def ended(event: Event) -> bool:
        return (event.type, event.incarnation) == ("exited", incarnation)

    told = await pair.a.told.until(ended, f"the exit of {incarnation}")
    assert (told.node, told.run, told.process) == (site.agent.name, 1, "init")
    return told


@dataclass
class Peer:
    """Of a program that sends back what it is sent, over one connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def echoed(self, word: bytes) -> None:
        self.writer.write(word)
        assert await bounded(self.reader.readexactly(len(word)), f"echo of {word!r}") == word


@asynccontextmanager
async def connected(address: str) -> AsyncIterator[Peer]:
    async def reached() -> Peer | None:
        try:
            return Peer(*await asyncio.open_connection(address, PORT))
        except OSError:  # it does not listen yet
            return None

    peer = await eventually(reached, "it listens", within_s=BOUND_S)
    assert peer is not None
    try:
        yield peer
    finally:
        peer.writer.close()


async def test_an_established_connection(pair: Pair, hosts: Hosts) -> None:
    """It outlasts the move, to where its address is; to anywhere else the container does not go."""
    hosts.give_address("a")
    hosts.plug("a")
    network = Network(mode="path", path=hosts.pod_path)
    name = await pair.a.run(ECHOES, checkpointable=True, network=network)
    async with connected(hosts.pod_address) as peer:
        await peer.echoed(b"on a")
        with pytest.raises(RuntimeFailed, match="--tcp-established") as failed:
            await move(pair.a.node, name, pair.b.node)
        assert failed.value.details["outcome"] == "stayed"
        await peer.echoed(b"stays")
        with pytest.raises(RuntimeFailed, match="Cannot assign requested address") as failed:
            await move(pair.a.node, name, pair.b.node, tcp=True)
        assert failed.value.details["outcome"] == "back"
        await peer.echoed(b"back")
        hosts.give_address("b")
        moved = await move(pair.a.node, name, pair.b.node, tcp=True)
        peer.writer.write(b"said to nobody: the old place stays silent")
        hosts.plug("b")
        await bounded(peer.reader.readuntil(b"silent"), "what was said meanwhile")
        await peer.echoed(b"on b")
    assert (await _exit(pair, pair.b, moved.restored)).data["reason"] == ExitReason.SELF
