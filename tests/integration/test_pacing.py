"""Whoever pipes through a process gets all of it back, however slowly they read."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Iterator

import pytest
from tests.integration.attach_kit import rest
from tests.integration.bounds import bounded
from tests.integration.world import Site, World, open_site
from tests.support.agent import AgentProcess

from wharfside_client.session import Session
from wharfside_protocol.specs import Io

DATA = random.Random(5).randbytes(4 * 1024 * 1024)
SMALL_WINDOW = 4096
"""So the reader is slower than a program that has nothing to do but to write."""


@pytest.fixture(scope="module")
def forgetful_agent(world: World) -> Iterator[AgentProcess]:
    """Its logs have room for half of DATA."""
    with world.running("forgetful", "\n[logs]\nmax_bytes = 524288\nmax_files = 2\n") as agent:
        yield agent


@pytest.fixture
async def forgetful(world: World, forgetful_agent: AgentProcess) -> AsyncIterator[Site]:
    async with open_site(world, forgetful_agent) as site:
        yield site
        await site.clear()


async def poured(session: Session) -> None:
    await session.write(DATA)
    await session.end()


@pytest.mark.parametrize("log", [True, False])
async def test_input_waits_for_its_own_reader(forgetful: Site, log: bool) -> None:
    name = await forgetful.run(("cat",), io=Io(stdin=True, log=log))
    wanted = {"container": name, "stdin": True}
    async with forgetful.node.session("attach", wanted, window=SMALL_WINDOW) as session:
        pouring = asyncio.create_task(poured(session))
        output, exit_ = await bounded(rest(session), "all of it back", 60.0)
        await pouring
    assert exit_.exit_code == 0
    assert hashlib.sha256(output).digest() == hashlib.sha256(DATA).digest()
