"""Restart policies while parts die: what was promised comes, once; what was stopped stays so."""

from __future__ import annotations

import asyncio

import pytest
from tests.chaos.processes import over, pid_of
from tests.integration.bounds import bounded
from tests.integration.fifos import ENDS_ON_CUE, shell
from tests.integration.world import (
    Site,
    World,
    bootstrap,
    everything,
    kill,
    open_site,
    restart,
    start,
    stop,
)
from tests.support.agent import START_SECONDS, AgentProcess
from tests.support.eventually import eventually
from tests.support.nats_server import NatsServer

from wharfside_agent.core.journal import Step
from wharfside_agent.services.journal import KILL_AT_VARIABLE
from wharfside_protocol.specs import Restart
from wharfside_protocol.states import ContainerState

ALWAYS = Restart(policy="always")
ONCE = Restart(policy="on-failure", max_retries=1)

RERUN = (
    Step.RERUN_INTENDED,
    Step.RERUN_CLEARED,
    Step.RERUN_RAISED,
    Step.RERUN_DONE,
    Step.RERUN_COMMITTED,
    Step.START_INTENDED,
    Step.START_DONE,
    Step.START_COMMITTED,
)
UNDONE = (Step.RERUN_RAISED, Step.RERUN_DONE)


@pytest.mark.parametrize("step", RERUN)
async def test_an_agent_that_dies_in_a_restart_finishes_it(
    own: Site, own_agent: AgentProcess, step: Step
) -> None:
    """Its only one: the attempt is not lost with the agent, nor taken twice."""
    await start(own_agent)
    name, cues = own.name(), own.cues()
    spec = own.spec(name, ENDS_ON_CUE, mounts=[cues.mount], restart=ONCE)
    await own.node.run(spec)
    pid = await pid_of(own, name)
    await kill(own_agent)
    cues.go("9")
    await over(pid)
    # the life that finds the end dies on its way to the next run
    await start(own_agent, until=None, **{KILL_AT_VARIABLE: str(step)})
    dying = asyncio.to_thread(own_agent.wait, START_SECONDS)
    code = await bounded(dying, f"the agent's death at {step}", START_SECONDS + 5)
    assert code == -9
    await kill(own_agent)
    await start(own_agent)

    run = 3 if step in UNDONE else 2
    await own.told.until(
        lambda event: (event.container, event.type, event.run) == (name, "started", run),
        f"run {run} at {step}",
    )
    again = [event for event in own.told.of(name) if event.type == "restarting"]
    assert {event.data["attempt"] for event in again} == {1}
    assert len(again) == (2 if step in UNDONE else 1)
    cues.go("8")
    await own.told.event(name, "not-restarting")
    assert own.told.types(name).count("exited") == 2
    assert (await own.node.inspect(name)).restarts == 1
    await own.node.delete(name)
    assert await stop(own_agent) == 0


async def test_a_backoff_outlives_the_agent(site: Site, agent: AgentProcess) -> None:
    """What is due while nobody is there comes with the next life, and a stop stays a stop."""
    name = await site.run(shell("exit 4"), restart=ALWAYS)
    stopped = await site.run(shell("exit 4"), restart=ALWAYS)
    await site.told.event(stopped, "restarting", nth=4)
    await site.node.stop(stopped)
    # the agent dies as a pause of over a second begins: in no run's midst, which would be undone
    await site.told.event(name, "restarting", nth=5)
    await restart(agent)
    again = await site.told.event(name, "restarting", nth=6)
    assert (again.run, again.data["attempt"]) == (6, 6)
    view = await site.node.inspect(stopped)
    assert view.state is ContainerState.STOPPED
    assert site.told.types(stopped)[-1] == "not-restarting"
    await site.node.delete(name, force=True)
    await site.told.event(name, "deleted")
    exits = [event.run for event in site.told.of(name) if event.type == "exited"]
    assert exits == list(range(1, len(exits) + 1))


async def test_a_crash_while_no_agent_lives_is_restarted_by_the_next(
    site: Site, agent: AgentProcess
) -> None:
    cues = site.cues()
    name = await site.run(ENDS_ON_CUE, mounts=[cues.mount], restart=ALWAYS)
    pid = await pid_of(site, name)
    await kill(agent)
    cues.go("6")
    await over(pid)
    await start(agent)
    assert (await site.told.exit(name)).exit_code == 6
    assert (await site.told.event(name, "started", nth=2)).run == 2


async def test_restarts_go_on_while_the_server_is_down(
    world: World, nats_server: NatsServer
) -> None:
    """Runs 1 to 6 with their exact exits, told once and in order when it is back."""
    await bootstrap(nats_server.url)
    with world.agent("alone", server=nats_server.url) as agent:
        own = World(world.folder, nats_server, world.cgroup, world.rootfs)
        async with open_site(own, agent) as site:
            await asyncio.to_thread(site.agent.start, until="bus-connected")
            cues = site.cues()
            name = site.name()
            await site.node.run(site.spec(name, ENDS_ON_CUE, mounts=[cues.mount], restart=ALWAYS))
            await asyncio.to_thread(nats_server.kill)
            for code in (1, 2, 3, 4, 5):
                cues.go(str(code))  # each run reads one
            await _sixth_run_reads(site)
            await asyncio.to_thread(nats_server.start)
            await site.told.event(name, "started", nth=6)
            told = [event for event in await everything(nats_server.url) if event.container == name]
            exits = [(e.run, e.data["exit_code"]) for e in told if e.type == "exited"]
            assert exits == [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5)]
            view = await site.node.inspect(name)
            assert (view.run, view.restarts) == (6, 5)
            await site.node.delete(name, force=True)
            assert await stop(agent) == 0


async def _sixth_run_reads(site: Site) -> None:
    """By its log: there is no bus to ask."""
    logs = site.agent.folder / "state" / "logs"  # and nowhere else: run folders come and go
    await eventually(lambda: any(logs.glob("*/6-init.log")), "the sixth run", within_s=60)
