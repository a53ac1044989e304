"""The agent dies while it tells what was done by command: each is told, and once."""

from __future__ import annotations

import asyncio

import pytest
from tests.integration.bounds import bounded
from tests.integration.raw import new_id
from tests.integration.world import Site, everything, kill, start
from tests.support.agent import AgentProcess

from wharfside_agent.core.journal import Step
from wharfside_agent.services.journal import KILL_AT_VARIABLE
from wharfside_protocol.command_base import NoArgs
from wharfside_protocol.events import Event, EventType

STEPS = (Step.AUDIT_DUE, Step.AUDIT_COMMITTED)
WAIT_S = 20.0


def test_every_step_of_the_audit_is_here() -> None:
    assert {step for step in Step if step.startswith("audit.")} == set(STEPS)


def commands_in(event: Event) -> list[str]:
    if event.type != EventType.AUDIT:
        return []
    return [record["command"] for record in event.data["records"]]


@pytest.mark.parametrize("step", STEPS)
async def test_after_a_death_at(own: Site, own_agent: AgentProcess, step: Step) -> None:
    before, after = new_id(), new_id()
    await start(own_agent, **{KILL_AT_VARIABLE: step})
    assert (await own.node.request("undrain", NoArgs(), command_id=before)).ok
    assert await bounded(asyncio.to_thread(own_agent.wait), f"its death at {step}") == -9
    await kill(own_agent)
    await start(own_agent)
    await own.node.undrain(command_id=after, unreachable_s=WAIT_S)
    await own.told.until(lambda event: after in commands_in(event), f"the audit of {after}")
    assert await asyncio.to_thread(own_agent.stop) == 0
    mine = [e for e in await everything(own.world.server.url) if e.node == own_agent.name]
    assert [id_ for event in mine for id_ in commands_in(event)] == [before, after]
