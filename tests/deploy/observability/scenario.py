"""A little of everything that has a figure, so that no query of the dashboard finds nothing."""

from __future__ import annotations

import asyncio
import contextlib

from tests.integration.fifos import shell
from tests.integration.world import Site, World, command, open_site
from tests.support.agent import AgentProcess
from tests.support.eventually import eventually

from wharfside_client import connect
from wharfside_protocol.errors import NotFound
from wharfside_protocol.specs import Restart

RUNS = 3

KEPT = shell("trap 'exit 7' TERM; while :; do sleep 1000 & wait; done")


def add_mailbox(world: World, agent: AgentProcess) -> None:
    """Before the agent starts, which would look for it seldom by then."""

    async def add() -> None:
        async with connect(world.server.url) as fleet:
            await fleet.setup.add_node(agent.name)

    asyncio.run(add())


def play(world: World, agent: AgentProcess) -> None:
    """Leaves `kept` running; all others are deleted again."""
    asyncio.run(_play(world, agent))


def clear(world: World, agent: AgentProcess) -> None:
    async def clear() -> None:
        async with open_site(world, agent) as site:
            await site.clear()

    asyncio.run(clear())


async def _play(world: World, agent: AgentProcess) -> None:
    async with open_site(world, agent) as site:
        await site.listed()
        await site.run(KEPT, name="kept")
        await site.node.exec("kept", command("exit 4"))
        for _ in range(RUNS):
            await _lives_and_dies(site)
        await _is_restarted(site)
        with contextlib.suppress(NotFound):
            await site.node.stop("nobody")
        await _is_sent_by_mail(site)


async def _lives_and_dies(site: Site) -> None:
    name = await site.run(shell("echo hello; exit 3"))
    await site.node.wait(name)
    async with site.node.logs(name) as session:
        assert [item async for item in session]
    await site.node.delete(name)


async def _is_restarted(site: Site) -> None:
    policy = Restart(policy="on-failure", max_retries=1)
    name = await site.run(shell("exit 1"), restart=policy)
    await site.told.event(name, "not-restarting")
    await site.node.delete(name)


async def _is_sent_by_mail(site: Site) -> None:
    async def reached() -> bool:
        return (await site.node.info()).mailbox == "ok"

    await eventually(reached, "the mailbox is found", within_s=20)
    await site.node.stop("kept", durable=True, timeout_s=20)
    await site.node.start("kept")
