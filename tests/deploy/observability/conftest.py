"""A node with its metrics listener on, and a short life of containers to be read there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.deploy.observability.pages import Pages, observed
from tests.deploy.observability.scenario import add_mailbox, clear, play
from tests.integration.fixtures import NEEDED, site  # noqa: F401 - a fixture
from tests.integration.world import World, make_world
from tests.support.agent import AgentProcess
from tests.support.requirements import need


@pytest.fixture(scope="package")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    for name in NEEDED:
        need(name)
    with make_world(tmp_path_factory.mktemp("world")) as made:
        yield made


@pytest.fixture(scope="package")
def pages(world: World) -> Iterator[Pages]:
    """Of the node `n1`, once the scenario has been played there."""
    with world.agent("n1") as agent:
        add_mailbox(world, agent)
        pages = observed(agent)
        agent.wait_for_log("bus-connected")
        play(world, agent)
        yield pages
        clear(world, agent)
        assert agent.stop() == 0


@pytest.fixture
def agent(pages: Pages) -> AgentProcess:
    return pages.agent
