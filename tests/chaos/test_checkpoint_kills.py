"""kill -9 of agent, conmon and CRIU in the midst of a dump or a restore: never lost, never twice.

A CRIU that dies within the dumped processes may take them along: then that end is told, as what it
was. Whatever happens, each number is counted once, and what was told can be gone on from.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from typing import Any, Literal

import psutil
import pytest
from tests.integration.bounds import BOUND_S
from tests.integration.counting import COUNTS, Counting
from tests.integration.world import Site, World, kill, open_site, start
from tests.support.agent import AgentProcess
from tests.support.eventually import eventually
from tests.support.requirements import requires

from wharfside_protocol.errors import WharfsideError
from wharfside_protocol.exits import ExitReason
from wharfside_protocol.states import ContainerState

pytestmark = requires("criu")

Part = Literal["agent", "conmon", "criu"]
PARTS: tuple[Part, ...] = ("agent", "conmon", "criu")
LONG_S = 0.3
"""Dumps and restores of a small container take about so long."""


@pytest.fixture
async def site(world: World, agent: AgentProcess) -> AsyncIterator[Site]:
    async with open_site(world, agent) as site:
        yield site
        await site.clear()
        agent.drain()


def points(count: int) -> list[float]:
    """Moments after CRIU's birth, in seconds, all over its work."""
    return [LONG_S * (number + random.random()) / count for number in range(count)]


@pytest.mark.parametrize("part", PARTS)
async def test_in_mid_dump(site: Site, agent: AgentProcess, part: Part) -> None:
    for number, delay in enumerate(points(2)):
        await _killed_in_dump(site, agent, part, delay, exit=bool(number % 2))


@pytest.mark.parametrize("part", PARTS)
async def test_in_mid_restore(site: Site, agent: AgentProcess, part: Part) -> None:
    for delay in points(2):
        await _killed_in_restore(site, agent, part, delay)


@pytest.mark.soak
@pytest.mark.parametrize("part", PARTS)
async def test_in_mid_dump_at_twenty_points(site: Site, agent: AgentProcess, part: Part) -> None:
    for number, delay in enumerate(points(20)):
        await _killed_in_dump(site, agent, part, delay, exit=bool(number % 2))


@pytest.mark.soak
@pytest.mark.parametrize("part", PARTS)
async def test_in_mid_restore_at_twenty_points(site: Site, agent: AgentProcess, part: Part) -> None:
    for delay in points(20):
        await _killed_in_restore(site, agent, part, delay)


async def _killed_in_dump(
    site: Site, agent: AgentProcess, part: Part, delay: float, *, exit: bool
) -> None:
    name = await site.run(COUNTS, checkpointable=True)
    counting = await Counting.of(site, name)
    await counting.further(1)
    asked = asyncio.create_task(site.node.checkpoint(name, "one", exit=exit, timeout_s=30))
    await _kill(site, agent, part, name, "checkpoint", delay, asked)
    await _answered(asked, part)
    await _settled(site, name, exit=exit)
    await _goes_on(site, name, counting)


async def _killed_in_restore(site: Site, agent: AgentProcess, part: Part, delay: float) -> None:
    name = await site.run(COUNTS, checkpointable=True)
    counting = await Counting.of(site, name)
    await counting.further(1)
    await site.node.checkpoint(name, "one", exit=True)
    await site.told.exit(name)
    asked = asyncio.create_task(site.node.restore(name, "one", timeout_s=30))
    await _kill(site, agent, part, name, "restore", delay, asked)
    await _answered(asked, part)
    view = await site.node.inspect(name)
    told = site.told.types(name)
    assert view.state in (ContainerState.RUNNING, ContainerState.STOPPED)
    if view.state is ContainerState.STOPPED:
        await site.told.event(name, "start-failed")
        await site.node.restore(name, "one")
    else:
        assert "start-failed" not in told
    await _goes_on(site, name, counting)


async def _answered(asked: asyncio.Task[Any], part: Part) -> None:
    """An agent that died leaves its caller to a repeat, which has its own tests."""
    if part == "agent":
        asked.cancel()
    with contextlib.suppress(WharfsideError, asyncio.CancelledError):
        await asked


async def _kill(
    site: Site,
    agent: AgentProcess,
    part: Part,
    name: str,
    op: str,
    delay: float,
    asked: asyncio.Task[Any],
) -> None:
    """`delay` after the CRIU of `op` was born, if that lives so long; on a busy machine its whole
    life may pass between two looks."""
    await eventually(lambda: asked.done() or _criu(agent, op), f"criu of {op}", every_s=0.002)
    criu = _criu(agent, op)
    await asyncio.sleep(delay)
    if part == "agent":
        await kill(agent)
        await start(agent)
        return
    if criu is None:
        return
    with contextlib.suppress(psutil.NoSuchProcess):
        if part == "conmon":
            _conmon(agent, name, criu).kill()
            return
        # what it forks to try the kernel out stops itself, and only CRIU would end it
        trials = [each for each in criu.children() if each.status() == psutil.STATUS_STOPPED]
        for process in (criu, *trials):
            process.kill()


def _criu(agent: AgentProcess, op: str) -> psutil.Process | None:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = process.cmdline()
            if op in words and "runc" in words[0] and str(agent.folder) in " ".join(words):
                return next(iter(process.children()), None)
    return None


def _conmon(agent: AgentProcess, name: str, criu: psutil.Process) -> psutil.Process:
    """That of the container whose CRIU it is."""
    runc = criu.parent()
    assert runc is not None
    runtime_id = runc.cmdline()[-1]
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if "conmon" in process.name() and f"--cid={runtime_id}" in process.cmdline():
                return process
    raise psutil.NoSuchProcess(0, f"conmon of {name}")


async def _settled(site: Site, name: str, *, exit: bool) -> None:
    """What became of the checkpoint is told; and its end, where that was to follow."""

    def told() -> bool:
        return bool({"checkpointed", "checkpoint-failed"} & set(site.told.types(name)))

    await eventually(told, f"the checkpoint of {name} is told", within_s=BOUND_S)
    if exit and "checkpointed" in site.told.types(name):
        await site.told.exit(name)
    view = await site.node.inspect(name)
    types = site.told.types(name)
    found = (await site.node.checkpoints(name)).checkpoints
    assert len(found) == types.count("checkpointed")
    assert not [each for each in found if each.broken]
    if view.state is ContainerState.STOPPED:
        status = await site.told.exit(name)
        by_it = status.reason == ExitReason.CHECKPOINT
        assert by_it == ("checkpointed" in types), status
        if by_it:
            await site.node.restore(name, "one")


async def _goes_on(site: Site, name: str, counting: Counting) -> None:
    """What is written is whole; what is logged, too, as far as there was a conmon to log it."""
    view = await site.node.inspect(name)
    if view.state is ContainerState.RUNNING:
        seen, ends = len(counting.written()), site.told.types(name).count("exited")

        def further_or_over() -> bool:
            """CRIU's death may be its own, and be seen a moment later."""
            over = site.told.types(name).count("exited") > ends
            return over or len(counting.written()) >= seen + 3

        await eventually(further_or_over, f"{name} counts on", within_s=BOUND_S)
    await site.node.stop(name, grace_s=0)
    logged, written = counting.logged(), counting.written()
    assert written == list(range(len(written)))
    monitored = "monitor-lost" not in site.told.types(name)
    if monitored:
        # it may have been killed between the two
        assert logged == written[: len(logged)]
        assert len(written) <= len(logged) + 1
    assert len(set(logged)) == len(logged)
    runs = site.told.types(name).count("restored") + 1
    await site.told.exit(name, nth=runs)
    assert site.told.types(name).count("exited") == runs
