"""The agent dies in a removal: the next life finishes it, once, and tells no more than it would."""

from __future__ import annotations

import asyncio

import psutil
from tests.chaos.processes import monitor_of, over, pid_of
from tests.integration.bounds import bounded
from tests.integration.fifos import ENDS_ON_CUE
from tests.integration.world import Site, kill, start, stop
from tests.support.agent import AgentProcess

from wharfside_agent.core.journal import Step
from wharfside_agent.services.journal import KILL_AT_VARIABLE


async def test_an_auto_removal_is_finished_once(own: Site, own_agent: AgentProcess) -> None:
    await start(own_agent, **{KILL_AT_VARIABLE: str(Step.DELETE_INTENDED)})
    name, cues = own.name(), own.cues()
    await own.make(name, ENDS_ON_CUE, mounts=[cues.mount], auto_remove=True)
    cues.go("3")
    await bounded(asyncio.to_thread(own_agent.wait), "the agent's death")
    await kill(own_agent)
    await start(own_agent)
    await own.told.event(name, "deleted")
    assert own.told.types(name) == ["created", "started", "exited", "deleted"]
    assert await stop(own_agent) == 0
    # Two removals at once may each take away what the other is about to.
    assert "task-failed" not in own_agent.log.read_text()


async def test_no_exit_is_told_for_what_never_ran(own: Site, own_agent: AgentProcess) -> None:
    """Its init has ended, by that delete, when the next life looks."""
    await start(own_agent, **{KILL_AT_VARIABLE: str(Step.DELETE_INTENDED)})
    name = own.name()
    await own.node.create(own.spec(name))
    pid = await pid_of(own, name)
    monitor = monitor_of(pid)
    asked = asyncio.create_task(own.node.delete(name, unreachable_s=30, timeout_s=60))
    await bounded(asyncio.to_thread(own_agent.wait), "the agent's death")
    await kill(own_agent)
    psutil.Process(pid).kill()
    await over(monitor.pid)
    await start(own_agent)
    await asked
    await own.told.event(name, "deleted")
    assert [each for each in own.told.types(name) if each != "reattached"] == ["created", "deleted"]
    assert await stop(own_agent) == 0
