"""stop_on_disconnect_s: what may run elsewhere by now does not run here, nor comes back here."""

from __future__ import annotations

import asyncio

import pytest
from tests.chaos.processes import over, pid_of
from tests.integration.fifos import ENDS_ON_CUE, OBEYS_TERM
from tests.integration.world import Site, World, kill, restart, start
from tests.support.agent import AgentProcess

from wharfside_protocol.exits import ExitReason
from wharfside_protocol.specs import Restart
from wharfside_protocol.states import ContainerState

ALWAYS = Restart(policy="always")
BOUND_S = 4.0
"""So long neither a server that is there nor its node may be held up."""


@pytest.mark.parametrize("how", ["kill", "pause"])
async def test_it_is_stopped_without_a_server_and_stays_so(
    site: Site, world: World, agent: AgentProcess, how: str
) -> None:
    """Also where the connection still stands, but nobody answers. Others run on."""
    cues = site.cues()
    name = await site.run(
        OBEYS_TERM, mounts=[cues.mount], restart=ALWAYS, stop_on_disconnect_s=BOUND_S
    )
    other = await site.run(restart=ALWAYS)
    patient = await site.run(stop_on_disconnect_s=1000)
    await cues.ready()
    pid = await pid_of(site, name)
    if how == "kill":
        await asyncio.to_thread(world.server.kill)
    else:
        await asyncio.to_thread(world.server.pause)
    await over(pid)
    await asyncio.to_thread(world.server.start if how == "kill" else world.server.resume)

    told = await site.told.exit(name)
    assert (told.exit_code, told.reason) == (7, ExitReason.STOP)
    stopping = await site.told.event(name, "stopping")
    assert stopping.data["why"] == "disconnected"
    assert stopping.cause is None
    rests = await site.told.event(name, "not-restarting")
    assert rests.data == {"why": "disconnected"}
    await restart(agent)
    await site.told.event(patient, "reattached")
    views = {view.container: view for view in await site.node.list(all=True)}
    assert (views[name].state, views[name].run) == (ContainerState.STOPPED, 1)
    assert (views[other].state, views[patient].state) == ("running", "running")
    assert site.told.types(name)[-1] == "not-restarting"

    assert (await site.node.start(name)).run == 2
    await cues.ready()
    assert (await site.node.inspect(name)).state is ContainerState.RUNNING


async def test_an_agent_that_was_away_too_long_stops_it_before_all_else(
    site: Site, agent: AgentProcess
) -> None:
    """One that still runs; and one that crashed meanwhile is not started again."""
    cues = site.cues()
    runs = await site.run(restart=ALWAYS, stop_on_disconnect_s=BOUND_S, grace_s=0)
    crashes = await site.run(
        ENDS_ON_CUE, mounts=[cues.mount], restart=ALWAYS, stop_on_disconnect_s=BOUND_S
    )
    lasts = await site.run(stop_on_disconnect_s=1000)
    pid = await pid_of(site, crashes)
    await kill(agent)
    cues.go("3")
    await over(pid)
    await asyncio.sleep(BOUND_S)  # time itself is what counts here
    await start(agent)
    for name, code in ((runs, 137), (crashes, 3)):
        assert (await site.told.exit(name)).exit_code == code
        rests = await site.told.event(name, "not-restarting")
        assert rests.data == {"why": "disconnected"}
    assert site.told.types(runs)[-4:] == ["reattached", "stopping", "exited", "not-restarting"]
    assert (await site.node.inspect(lasts)).state is ContainerState.RUNNING


async def test_with_a_server_nothing_is_stopped(site: Site) -> None:
    """Also where it is the first that has a bound, and the next has a shorter one."""
    bounds = (1000, 1.5 * BOUND_S)
    names = [await site.run(stop_on_disconnect_s=bound) for bound in bounds]
    await asyncio.sleep(2 * BOUND_S)  # time itself is what counts here
    for name in names:
        assert site.told.types(name) == ["created", "started"]


async def test_a_short_silence_stops_nothing(site: Site, agent: AgentProcess) -> None:
    name = await site.run(stop_on_disconnect_s=60)
    await restart(agent)
    await site.told.event(name, "reattached")
    view = await site.node.inspect(name)
    assert (view.state, view.stopping) == (ContainerState.RUNNING, False)
