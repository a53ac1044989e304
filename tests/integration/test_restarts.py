"""Restart policies: what the node does by itself, each restart told before it comes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.integration.fifos import ENDS_ON_CUE, OBEYS_TERM, SLEEPS, Cues, shell
from tests.integration.world import Site, World, open_site
from tests.support.agent import AgentProcess

from wharfside_protocol.commands import StateValue
from wharfside_protocol.errors import RuntimeFailed
from wharfside_protocol.exits import ExitReason
from wharfside_protocol.specs import Restart
from wharfside_protocol.states import ContainerState

LONG_BACKOFF = Path(__file__).parents[1] / "support" / "long_backoff_agent.py"
ALWAYS = Restart(policy="always")
UNLESS_STOPPED = Restart(policy="unless-stopped")


async def with_cues(
    site: Site, restart: Restart, args: tuple[str, ...] = ENDS_ON_CUE
) -> tuple[str, Cues]:
    cues = site.cues()
    name = await site.run(args, mounts=[cues.mount], restart=restart)
    return name, cues


async def test_always_runs_again_and_again_each_exit_once(site: Site) -> None:
    """Five crashes: runs 1 to 6, whatever the code, 0 too."""
    name, cues = await with_cues(site, ALWAYS)
    codes = [7, 0, 3, 255, 1]
    for number, code in enumerate(codes, 1):
        cues.go(str(code))
        assert (await site.told.exit(name, nth=number)).exit_code == code
        again = await site.told.event(name, "restarting", nth=number)
        assert (again.run, again.data["next_run"], again.data["attempt"]) == (
            number,
            number + 1,
            number,
        )
        base = 0.1 * 2 ** (number - 1)
        assert base * 0.8 <= again.data["delay_s"] <= base
        started = await site.told.event(name, "started", nth=number + 1)
        assert started.run == number + 1
    view = await site.node.inspect(name)
    assert (view.state, view.run, view.restarts) == (ContainerState.RUNNING, 6, 5)
    for number, code in enumerate(codes, 1):
        waited = await site.node.wait(name, run=number)
        assert waited.exit is not None
        assert waited.exit.exit_code == code
    once = ["started", "exited", "restarting"]
    assert site.told.types(name) == ["created", *once * 5, "started"]


async def test_on_failure_ends_with_success(site: Site) -> None:
    name, cues = await with_cues(site, Restart(policy="on-failure"))
    cues.go("1")
    await site.told.event(name, "started", nth=2)
    cues.go("0")
    rests = await site.told.event(name, "not-restarting")
    assert rests.data == {"why": "policy"}
    assert (await site.node.inspect(name)).state is ContainerState.STOPPED


async def test_on_failure_counts_its_retries_and_a_start_begins_anew(site: Site) -> None:
    name = await site.run(shell("exit 9"), restart=Restart(policy="on-failure", max_retries=2))
    rests = await site.told.event(name, "not-restarting")
    assert (rests.run, rests.data) == (3, {"why": "max-retries"})
    assert site.told.types(name).count("restarting") == 2
    view = await site.node.inspect(name)
    assert (view.restarts, view.restart_at) == (2, None)
    assert view.exit is not None
    assert view.exit.exit_code == 9
    started: StateValue = await site.node.start(name)
    assert started.run == 4
    rests = await site.told.event(name, "not-restarting", nth=2)
    assert rests.run == 6


@pytest.mark.parametrize("restart", [ALWAYS, UNLESS_STOPPED], ids=lambda each: each.policy)
async def test_a_stop_by_command_ends_every_policy(site: Site, restart: Restart) -> None:
    name, cues = await with_cues(site, restart, OBEYS_TERM)
    await cues.ready()
    stopped = await site.node.stop(name)
    assert stopped.exit is not None
    assert (stopped.exit.exit_code, stopped.exit.reason) == (7, ExitReason.STOP)
    assert (await site.told.event(name, "not-restarting")).data == {"why": "stopped"}
    types = ["created", "started", "stopping", "exited", "not-restarting"]
    assert site.told.types(name) == types
    assert (await site.node.start(name)).run == 2
    await cues.ready()
    await site.node.signal(name, "TERM")  # its stop signal: as docker's kill
    await site.told.event(name, "not-restarting", nth=2)


async def test_another_signal_is_no_stop(site: Site) -> None:
    script = shell("trap 'exit 5' USR1; echo set >/cue/ready; while :; do sleep 1000 & wait; done")
    name, cues = await with_cues(site, UNLESS_STOPPED, script)
    await cues.ready()
    await site.node.signal(name, "USR1")
    assert (await site.told.exit(name)).exit_code == 5
    await cues.ready()
    assert (await site.node.inspect(name)).run == 2


@pytest.fixture(scope="module")
def slow_agent(world: World) -> Iterator[AgentProcess]:
    with world.agent("slow") as agent:
        agent.program = (str(LONG_BACKOFF),)
        agent.start(until="bus-connected")
        yield agent
        assert agent.stop() == 0


@pytest.fixture
async def slow(world: World, slow_agent: AgentProcess) -> AsyncIterator[Site]:
    """Its containers wait for long before they are started again."""
    async with open_site(world, slow_agent) as site:
        yield site
        await site.clear()
        slow_agent.drain()


async def _in_backoff(site: Site) -> str:
    name = await site.run(shell("exit 4"), restart=ALWAYS)
    await site.told.event(name, "restarting")
    view = await site.node.inspect(name)
    assert view.state is ContainerState.STOPPED
    assert view.restart_at is not None
    return name


async def test_a_stop_in_the_backoff_ends_it_and_answers_the_last_exit(slow: Site) -> None:
    name = await _in_backoff(slow)
    assert name in [each.container for each in await slow.node.list()], "it waits: as running"
    stopped = await slow.node.stop(name)
    assert stopped.exit is not None
    assert stopped.exit.exit_code == 4
    rests = await slow.told.event(name, "not-restarting")
    assert rests.data == {"why": "stopped"}
    assert rests.cause is not None
    assert name not in [each.container for each in await slow.node.list()]
    assert (await slow.node.start(name)).run == 2


async def test_a_delete_in_the_backoff_ends_it(slow: Site) -> None:
    name = await _in_backoff(slow)
    await slow.node.delete(name)
    await slow.told.event(name, "deleted")
    assert slow.told.types(name)[-3:] == ["restarting", "not-restarting", "deleted"]
    rests = await slow.told.event(name, "not-restarting")
    assert rests.data == {"why": "deleted"}


async def test_a_start_in_the_backoff_is_at_once(slow: Site) -> None:
    name = await _in_backoff(slow)
    assert (await slow.node.start(name)).run == 2
    again = await slow.told.event(name, "restarting", nth=2)
    assert (again.run, again.data["attempt"]) == (2, 1)
    await slow.node.delete(name, force=True)


async def test_a_delete_by_force_of_one_that_runs_tells_no_restart(site: Site) -> None:
    name, _cues = await with_cues(site, ALWAYS, SLEEPS)
    await site.node.delete(name, force=True)
    await site.told.event(name, "deleted")
    assert site.told.types(name) == ["created", "started", "exited", "deleted"]


async def test_a_refused_restart_is_a_failure_like_any_other(site: Site) -> None:
    rm = shell("rm /bin/sh; exit 1")
    name = await site.run(rm, restart=Restart(policy="on-failure", max_retries=2))
    await site.told.event(name, "not-restarting")
    refused = ["restarting", "start-failed"] * 2
    assert site.told.types(name) == ["created", "started", "exited", *refused, "not-restarting"]


async def test_a_first_start_that_is_refused_is_its_callers(site: Site) -> None:
    """Nothing ran, so there is nothing to start again; the policy counts from a start that is."""
    rm = shell("rm /bin/sh; exit 0")
    name = await site.run(rm, restart=UNLESS_STOPPED)
    await site.told.event(name, "start-failed")
    await site.node.stop(name)
    await site.told.event(name, "not-restarting")
    with pytest.raises(RuntimeFailed):
        await site.node.start(name)
    assert site.told.types(name)[-1] != "restarting"
    view = await site.node.inspect(name)
    assert (view.state, view.restart_at) == (ContainerState.STOPPED, None)
