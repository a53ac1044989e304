"""The next version of the agent under running containers: nobody notices, nothing is missing."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import psutil
import pytest
from tests.chaos.processes import monitor_of, over, pid_of
from tests.integration.fifos import SLEEPS
from tests.integration.world import Site, command, everything, kill, start, stop
from tests.support.old_store import rewrite_as_schema_1, schema_of

from wharfside_agent.store.schema import SCHEMA_VERSION
from wharfside_protocol.events import Event

MANY = 500
AT_ONCE = 16


def store_of(site: Site) -> Path:
    (path,) = (site.agent.folder / "state").glob("*.sqlite")
    return path


def gapless(events: list[Event], node: str) -> None:
    """Every seq of the node's one epoch, once."""
    told = sorted((each.epoch, each.seq) for each in events if each.node == node)
    assert len({epoch for epoch, _ in told}) == 1
    assert [seq for _, seq in told] == list(range(1, len(told) + 1))


async def test_an_upgrade_touches_no_container(own: Site) -> None:
    """It stops the old version, brings a store of the first schema up, and starts the new one."""
    await start(own.agent)
    runs, cues = await own.run_with_cues()
    ends, ending = await own.run_with_cues()
    paused, stopped = await own.run(), await own.run()
    exec_ = await own.node.exec(runs, command("sleep 1000"), wait=False)
    await own.node.pause(paused)
    await own.node.stop(stopped, grace_s=0)
    alive = [psutil.Process(await pid_of(own, name)) for name in (runs, ends, paused)]
    monitors = [monitor_of(each.pid) for each in alive]

    assert await stop(own.agent) == 0
    ending.go("5")
    await over(monitors[1].pid)
    rewrite_as_schema_1(store_of(own))
    await start(own.agent)

    assert (await own.told.exit(ends)).exit_code == 5
    for name in (runs, paused):
        await own.told.event(name, "reattached")
    assert own.told.types(ends) in (
        ["created", "started", "exited"],
        ["created", "started", "reattached", "exited"],
    )
    for index in (0, 2):
        assert alive[index].is_running()
        assert monitors[index].is_running()
    states = {view.container: view.state for view in await own.node.list(all=True)}
    assert states == {runs: "running", ends: "stopped", paused: "paused", stopped: "stopped"}
    again = {each.process: each.pid for each in await own.node.list_processes(runs)}
    assert again == {"init": alive[0].pid, exec_.process: exec_.pid}
    await own.node.resume(paused)
    cues.go("3")
    assert (await own.told.exit(runs)).exit_code == 3
    await own.clear()
    assert await stop(own.agent) == 0
    gapless(await everything(own.world.server.url), own.agent.name)
    assert schema_of(store_of(own)) == SCHEMA_VERSION


@pytest.mark.soak
async def test_five_hundred_are_served_again(own: Site) -> None:
    """`tests/bench` has the figure; here it is that each of them is there, with its own process."""
    await start(own.agent)
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        async with turn:
            await own.make(f"many-{number}", SLEEPS)

    await asyncio.gather(*(one(number) for number in range(MANY)))
    before = {view.container: view.pid for view in await own.node.list()}
    assert len(before) == MANY
    await kill(own.agent)
    began = time.monotonic()
    await start(own.agent)
    after = {view.container: view.pid for view in await own.node.list(unreachable_s=20)}
    took = time.monotonic() - began
    assert after == before
    assert took < 20, f"served again after {took:.1f} s"
    for name in before:
        await own.told.event(name, "reattached")

    async def remove(name: str) -> None:
        async with turn:
            await own.node.delete(name, force=True)

    await asyncio.gather(*(remove(name) for name in before))
    assert await stop(own.agent) == 0
    gapless(await everything(own.world.server.url), own.agent.name)
