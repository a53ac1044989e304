"""A container from another node is judged when it is announced, and again when it is to run."""

from __future__ import annotations

import asyncio

import pytest
from tests.integration.counting import COUNTS, Counting
from tests.integration.test_reload import change, reload
from tests.integration.two_nodes import Pair
from tests.integration.world import Site, start, stop
from tests.support.requirements import requires

from wharfside_protocol.errors import Denied
from wharfside_protocol.migration import MigrateArgs, ReceiveArgs
from wharfside_protocol.states import ContainerState

pytestmark = requires("criu")

WIDE = "\n[policy]\ncapabilities = ['all']\n"
NARROW = "\n[policy]\ncapabilities = ['CAP_CHOWN', 'CAP_KILL']\n"


async def test_a_policy_that_grew_stricter_on_its_way_sends_it_back(pair: Pair, own: Site) -> None:
    """By the rules as they are right before CRIU restores it; where it came from it goes on."""
    own.agent.write_config(WIDE)
    await start(own.agent)
    await own.listed()
    await own.fleet.setup.add_carriage(own.agent.name)
    name = await pair.a.run(COUNTS, checkpointable=True)
    counting = await Counting.of(pair.a, name)
    await counting.further(1)
    announced = ReceiveArgs(
        migration="judged-again",
        container=name,
        spec=(await pair.a.node.inspect(name)).spec,
        source=pair.a.agent.name,
        facts=await pair.a.node.facts(name),
    )
    received = await own.node.receive(announced)
    await asyncio.to_thread(change, own.agent, WIDE, NARROW)
    assert "policy.everybody" in (await reload(own.agent)).stdout
    moved = MigrateArgs(
        container=name, migration="judged-again", target=own.agent.name, facts=received.facts
    )
    with pytest.raises(Denied, match=r"the checkpoint's .* capabilities") as denied:
        await pair.a.node.migrate(moved)
    assert denied.value.details["rule"] == "policy.capabilities"
    assert denied.value.details["outcome"] == "back"
    assert [view.container for view in await own.node.list(all=True)] == []
    assert (await own.node.checkpoints()).checkpoints == []
    details = await pair.a.node.inspect(name)
    assert (details.state, details.run) == (ContainerState.RUNNING, 2)
    await counting.further(2)
    await stop(own.agent)
