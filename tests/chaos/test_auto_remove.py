"""The agent dies in the removal that it began by itself: the next life finishes it, once."""

from __future__ import annotations

import asyncio

from tests.integration.bounds import bounded
from tests.integration.fifos import ENDS_ON_CUE
from tests.integration.world import Site, kill, start, stop
from tests.support.agent import AgentProcess

from wharfside_agent.core.journal import Step
from wharfside_agent.services.journal import KILL_AT_VARIABLE


async def test_killed_when_the_removal_is_intended(own: Site, own_agent: AgentProcess) -> None:
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
