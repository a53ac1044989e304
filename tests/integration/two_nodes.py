"""Two agents on one server, that share nothing else: what containers move between."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
from tests.integration.world import Site, World, open_site
from tests.support.agent import AgentProcess


@dataclass
class Pair:
    a: Site
    b: Site

    def of(self, who: str) -> Site:
        return self.a if who == "a" else self.b


@pytest.fixture(scope="module")
def agents(world: World) -> Iterator[tuple[AgentProcess, AgentProcess]]:
    with world.agent("node-a") as a, world.agent("node-b") as b:
        for agent in (a, b):
            agent.start(until="bus-connected")
        yield a, b
        for agent in (a, b):
            assert agent.stop() == 0


@pytest.fixture
async def pair(world: World, agents: tuple[AgentProcess, AgentProcess]) -> AsyncIterator[Pair]:
    async with AsyncExitStack() as stack:
        a, b = [await stack.enter_async_context(open_site(world, agent)) for agent in agents]
        for site in (a, b):
            await site.listed()
            await site.fleet.setup.add_carriage(site.agent.name)
        yield Pair(a, b)
        for site in (a, b):
            await site.clear()
            site.agent.drain()
