"""One server and one agent a module, a client and a recorder of events a test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from tests.integration.cli_kit import quick, wharfside  # noqa: F401 - fixtures, too
from tests.integration.client_kit import opened_bus
from tests.integration.gates import Gates
from tests.integration.raw import Raw, open_raw
from tests.integration.two_nodes import agents, pair  # noqa: F401 - fixtures, too
from tests.integration.world import Site, World, make_world, open_site, visit
from tests.support.agent import AgentProcess
from tests.support.nats_server import NatsServer
from tests.support.requirements import need

from wharfside_client import Wharfside
from wharfside_client.bus import Bus

NEEDED = ("root", "conmon", "crun", "runc", "busybox-static", "nats-server")


@pytest.fixture
async def bus(nats_server: NatsServer) -> AsyncIterator[Bus]:
    """A bus with everything set up and no node on it."""
    async with opened_bus(nats_server.url) as bus:
        await Wharfside(bus).setup.bootstrap()
        yield bus


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    for name in NEEDED:
        need(name)
    with make_world(tmp_path_factory.mktemp("world")) as made:
        yield made


@pytest.fixture(scope="module")
def agent(world: World) -> Iterator[AgentProcess]:
    """The module's one agent, `n1`: no test may leave it other than it was."""
    with world.running("n1") as agent:
        yield agent


@pytest.fixture
async def site(world: World, agent: AgentProcess) -> AsyncIterator[Site]:
    """A test's view of `n1`; what it made is deleted afterwards."""
    async with visit(world, agent) as site:
        yield site


@pytest.fixture
def own_agent(world: World) -> Iterator[AgentProcess]:
    """An agent of the test's own, not started yet, for what would hurt others."""
    with world.agent(world.new_name("node")) as agent:
        yield agent


@pytest.fixture
async def own(world: World, own_agent: AgentProcess) -> AsyncIterator[Site]:
    """The view of it. The test deletes what it makes: its agent may be down at the end."""
    async with open_site(world, own_agent) as site:
        yield site


@pytest.fixture(scope="module")
def gates(world: World) -> Gates:
    return Gates(world.folder / "gates")


@pytest.fixture(scope="module")
def gated_agent(world: World, gates: Gates) -> Iterator[AgentProcess]:
    """The module's agent `n1`, whose crun can be held, and whose lanes are short."""
    with world.agent("n1") as agent:
        agent.write_config("\n[limits]\nlane_depth = 4\n")
        agent.start(until="bus-connected", **gates.environment)
        yield agent
        assert agent.stop() == 0


@pytest.fixture
async def gated(world: World, gated_agent: AgentProcess) -> AsyncIterator[Site]:
    """As `site`, on the agent with the gates."""
    async with visit(world, gated_agent) as site:
        yield site


@pytest.fixture
async def raw(world: World) -> AsyncIterator[Raw]:
    """A client that sends whatever it is given, once."""
    async with open_raw(world.server.url) as raw:
        yield raw
