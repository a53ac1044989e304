"""Further runs that the runtime refuses, in its create or in its start, by command and policy."""

from __future__ import annotations

import pytest
from tests.integration.fifos import ENDS_ON_CUE, SLEEPS, shell
from tests.integration.gates import Gates
from tests.integration.world import Site

from wharfside_protocol.errors import RuntimeFailed, WrongState
from wharfside_protocol.specs import Restart
from wharfside_protocol.states import ContainerState


@pytest.mark.parametrize("what", ["create", "start"])
async def test_a_refused_start_is_told_and_the_next_is_a_run_of_its_own(
    gated: Site, gates: Gates, what: str
) -> None:
    """Also where the refused run's init was made and had to be killed: its end is nobody's."""
    name = await gated.run(SLEEPS)
    await gated.node.stop(name, grace_s=0)
    for run in (2, 3):
        with gates.refuse(what, "no such luck"), pytest.raises(RuntimeFailed, match="luck"):
            await gated.node.start(name)
        refused = await gated.told.event(name, "start-failed", nth=run - 1)
        assert refused.run == run
        assert "no such luck" in refused.data["error"]["message"]
        with pytest.raises(WrongState, match="never ran"):
            await gated.node.wait(name)
    assert (await gated.node.start(name)).run == 4
    view = await gated.node.inspect(name)
    assert (view.state, view.exit) == (ContainerState.RUNNING, None)
    stopped = await gated.node.stop(name, grace_s=0)
    await gated.told.event(name, "exited", nth=2)
    first = ["created", "started", "stopping", "exited"]
    last = ["started", "stopping", "exited"]
    assert gated.told.types(name) == [*first, "start-failed", "start-failed", *last]
    assert stopped.run == 4


@pytest.mark.parametrize("what", ["create", "start"])
async def test_a_policy_goes_on_after_a_refusal(gated: Site, gates: Gates, what: str) -> None:
    cues = gated.cues()
    always = Restart(policy="always")
    name = await gated.run(ENDS_ON_CUE, mounts=[cues.mount], restart=always)
    with gates.refuse(what, "no such luck"):
        cues.go("1")
        await gated.told.event(name, "start-failed", nth=2)
    started = await gated.told.event(name, "started", nth=2)
    told = gated.told.of(name)
    refusals = [event.run for event in told if event.type == "start-failed"]
    assert refusals == list(range(2, started.run or 0))
    attempts = [event.data["attempt"] for event in told if event.type == "restarting"]
    assert attempts == list(range(1, len(attempts) + 1))
    assert gated.told.types(name).count("exited") == 1


async def test_a_first_start_that_is_refused_is_its_callers(gated: Site, gates: Gates) -> None:
    always = Restart(policy="always")
    name = gated.name()
    with gates.refuse("start", "no such luck"), pytest.raises(RuntimeFailed):
        await gated.make(name, shell("exit 3"), restart=always)
    await gated.told.event(name, "start-failed")
    view = await gated.node.inspect(name)
    assert (view.state, view.restart_at) == (ContainerState.STOPPED, None)
    await gated.node.start(name)
    await gated.told.event(name, "restarting")
    assert gated.told.types(name)[:5] == [
        "created",
        "start-failed",
        "started",
        "exited",
        "restarting",
    ]
