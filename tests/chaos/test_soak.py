"""Everything dies at random while work goes on: afterwards every story is whole and in order."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable

import psutil
import pytest
from tests.chaos.processes import monitor_of
from tests.integration.bounds import bounded
from tests.integration.fifos import SLEEPS, shell
from tests.integration.world import Site, World, command, everything, kill, start
from tests.support.agent import AgentProcess

from wharfside_client.errors import ClientError
from wharfside_protocol.errors import WharfsideError

SECONDS = 60.0
WORKERS = 4


@pytest.mark.soak
async def test_death_of_anything_at_any_time(site: Site, world: World, agent: AgentProcess) -> None:
    seed = time.time_ns()
    print(f"seed {seed}")
    chance = random.Random(seed)
    over = asyncio.Event()
    work = asyncio.gather(*(_work(site, chance, over) for _ in range(WORKERS)))
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(work), chance.uniform(0.1, 3))
        await chance.choice([_kill_agent, _kill_agent, _kill_server, _kill_monitor])(
            site, world, agent, chance
        )
    over.set()
    await bounded(work, "the workers", 120)
    await site.node.ping(unreachable_s=30)
    for view in await site.node.list(all=True):
        await site.node.delete(view.container, force=True)
    assert await site.node.list(all=True) == []
    await _all_published(site, world)


async def _work(site: Site, chance: random.Random, over: asyncio.Event) -> None:
    """Containers of every kind, one after the other; errors are part of it."""
    kinds: list[Callable[[Site, str], Awaitable[None]]] = [
        _that_ends,
        _that_is_stopped,
        _that_is_paused,
        _with_execs,
        _that_removes_itself,
    ]
    while not over.is_set():
        with contextlib.suppress(WharfsideError, ClientError):
            await chance.choice(kinds)(site, site.name("soak"))


async def _that_ends(site: Site, name: str) -> None:
    await site.node.run(site.spec(name, shell("exit 3")), unreachable_s=20)
    told = await site.node.wait(name, timeout_s=20)
    assert told.exit is not None
    assert not told.exit.status_known or told.exit.exit_code == 3
    await site.node.delete(name, unreachable_s=20)


async def _that_is_stopped(site: Site, name: str) -> None:
    await site.node.run(site.spec(name), unreachable_s=20)
    await site.node.stop(name, grace_s=0, unreachable_s=20)
    await site.node.delete(name, unreachable_s=20)


async def _that_is_paused(site: Site, name: str) -> None:
    await site.node.run(site.spec(name), unreachable_s=20)
    await site.node.pause(name, unreachable_s=20)
    await site.node.delete(name, force=True, unreachable_s=20)


async def _with_execs(site: Site, name: str) -> None:
    await site.node.run(site.spec(name, SLEEPS), unreachable_s=20)
    for code in range(3):
        await site.node.exec(name, command(f"exit {code}"), timeout_s=20, unreachable_s=20)
    await site.node.delete(name, force=True, unreachable_s=20)


async def _that_removes_itself(site: Site, name: str) -> None:
    spec = site.spec(name, shell("exit 4"), auto_remove=True)
    made = await site.node.run(spec, unreachable_s=20)
    told = await site.node.wait(name, incarnation=made.incarnation, timeout_s=20)
    assert told.exit is not None
    assert not told.exit.status_known or told.exit.exit_code == 4


async def _kill_agent(
    _site: Site, _world: World, agent: AgentProcess, _chance: random.Random
) -> None:
    await kill(agent)
    await start(agent, until="ready")


async def _kill_server(
    _site: Site, world: World, _agent: AgentProcess, chance: random.Random
) -> None:
    await asyncio.to_thread(world.server.kill)
    await asyncio.to_thread(world.server.start)


async def _kill_monitor(
    site: Site, _world: World, _agent: AgentProcess, chance: random.Random
) -> None:
    with contextlib.suppress(WharfsideError, ClientError, psutil.Error, AssertionError):
        views = [view for view in await site.node.list(unreachable_s=1) if view.pid]
        if views:
            monitor_of(chance.choice(views).pid).kill()


async def _all_published(site: Site, world: World) -> None:
    """Nothing is left in the outbox: the stream has every `seq`."""

    async def drained() -> None:
        while True:
            told = [each for each in await everything(world.server.url) if each.node == "n1"]
            through = (await site.node.info()).published_through
            if through == max(each.seq for each in told):
                return
            await asyncio.sleep(0.2)

    await bounded(drained(), "the outbox to drain", 60)
