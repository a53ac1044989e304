"""The agent dies between the thaw that a stop needs and writing it down."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from pathlib import Path

import pytest
from tests.integration.bounds import bounded
from tests.integration.raw import new_id
from tests.integration.world import Site, kill, start, stop
from tests.support.agent import AgentProcess
from tests.support.requirements import find_command

from wharfside_agent.core.journal import Step
from wharfside_agent.services.journal import KILL_AT_VARIABLE
from wharfside_protocol.commands import StopArgs


@pytest.mark.parametrize("runtime", ["crun", "runc"])
async def test_what_was_thawed_is_not_thawed_again(
    own: Site, own_agent: AgentProcess, runtime: str
) -> None:
    """runc refuses to resume what is not paused; the stop goes on all the same."""
    await start(own_agent, **{KILL_AT_VARIABLE: str(Step.STOP_INTENDED)})
    name, id_ = own.name(), new_id()
    made = await own.make(name, runtime=runtime)
    await own.node.pause(name)
    args = StopArgs(container=name, grace_s=0)
    asked = asyncio.create_task(own.node.request("stop", args, command_id=id_, timeout_s=60))
    await bounded(asyncio.to_thread(own_agent.wait), "the agent's death")
    await kill(own_agent)
    asked.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asked
    _thaw(own_agent, runtime, Path(made.bundle).name)

    await start(own_agent)
    assert (await own.told.exit(name)).reason == "stop"
    told = [each for each in own.told.types(name) if each != "reattached"]
    assert told == ["created", "started", "paused", "stopping", "resumed", "exited"]
    answer = await own.node.request("stop", args, command_id=id_)
    assert (answer.ok, answer.replayed) == (True, True)
    await own.node.delete(name)
    assert await stop(own_agent) == 0


def _thaw(agent: AgentProcess, runtime: str, runtime_id: str) -> None:
    """As the life did that died of it."""
    root = agent.folder / "run" / "oci" / runtime
    command = [str(find_command(runtime)), f"--root={root}", "resume", runtime_id]
    subprocess.run(command, check=True, timeout=60)
