"""Another boot: one exit a container, with no code invented, and then its policy decides."""

from __future__ import annotations

import asyncio

import pytest
from tests.chaos.boot import boot_anew, sweep_away
from tests.chaos.processes import names_below
from tests.integration.counting import COUNTS
from tests.integration.fifos import shell
from tests.integration.raw import new_id
from tests.integration.world import Site, command, kill, restart, start, stop
from tests.support.agent import AgentProcess
from tests.support.requirements import requires

from wharfside_agent.core.journal import Step
from wharfside_agent.services.journal import KILL_AT_VARIABLE
from wharfside_protocol.checkpoints import CheckpointValue
from wharfside_protocol.commands import SignalArgs
from wharfside_protocol.errors import Canceled
from wharfside_protocol.specs import Restart
from wharfside_protocol.states import ContainerState

ALWAYS = Restart(policy="always")
UNLESS_STOPPED = Restart(policy="unless-stopped")
ON_FAILURE = Restart(policy="on-failure")
BOOTED_S = 90.0
"""An end of the agent, another boot, and its start."""


async def test_the_exit_is_told_and_then_the_policy_decides(
    own: Site, own_agent: AgentProcess
) -> None:
    await start(own_agent)
    node = own.node
    back = [
        await own.run(restart=policy, name=own.name("back"))
        for policy in (ALWAYS, UNLESS_STOPPED, ON_FAILURE)
    ]
    stays = [
        await own.run(name=own.name("stays")),
        await own.run(restart=UNLESS_STOPPED, name=own.name("stays")),
    ]
    away = await own.run(restart=ALWAYS, stop_on_disconnect_s=1000)
    removed = await own.run(auto_remove=True)
    stopped_always = await own.run(restart=ALWAYS)
    waits = await own.run(shell("exit 4"), restart=UNLESS_STOPPED)
    never = own.name("never")
    await node.create(own.spec(never, restart=ALWAYS))
    for name in (stays[1], stopped_always):
        await node.stop(name, grace_s=0)
        await own.told.event(name, "not-restarting")
    # the last: its pause is the longest here, and no run of it is on its way as the agent dies
    await own.told.event(waits, "restarting", nth=4)
    await kill(own_agent)
    folder = own_agent.folder
    await asyncio.to_thread(boot_anew, folder / "state", folder / "run")
    await start(own_agent)

    for name in back:
        exited = await own.told.event(name, "exited")
        reason, code = exited.data["reason"], exited.data.get("exit_code")
        assert (reason, code, exited.data["status_known"]) == ("node-reboot", None, False)
        assert (await own.told.event(name, "started", nth=2)).run == 2
        types = ["created", "started", "exited", "restarting", "started"]
        assert own.told.types(name) == types
    assert (await own.told.event(stopped_always, "started", nth=2)).run == 2
    assert (await own.told.event(away, "not-restarting")).data == {"why": "disconnected"}
    await own.told.event(removed, "deleted")
    await own.told.event(waits, "restarting", nth=5)
    views = {view.container: view for view in await node.list(all=True)}
    for name in (*stays, away, never):
        assert (views[name].state, views[name].run) == (ContainerState.STOPPED, 1), name
    assert (await node.start(away)).run == 2
    await own.clear()
    assert await stop(own_agent) == 0


async def test_a_signal_that_was_never_sent_is_not_the_next_runs(
    own: Site, own_agent: AgentProcess
) -> None:
    """Its agent died with it, then the machine; what a policy began anew is another process."""
    await start(own_agent, **{KILL_AT_VARIABLE: str(Step.SIGNAL_INTENDED)})
    name = await own.run(shell('trap "exit 9" USR1; while :; do sleep 0.1; done'), restart=ALWAYS)
    signal = SignalArgs(container=name, signal="USR1")
    id_ = new_id()
    sending = asyncio.create_task(
        own.node.request("signal", signal, command_id=id_, timeout_s=BOOTED_S)
    )
    assert await asyncio.to_thread(own_agent.wait) == -9
    await kill(own_agent)
    folder = own_agent.folder
    await asyncio.to_thread(boot_anew, folder / "state", folder / "run")
    await start(own_agent)
    assert not (await sending).ok
    assert (await own.told.event(name, "started", nth=2)).run == 2
    await restart(own_agent)
    await own.told.event(name, "reattached")
    beside = await own.node.exec(name, command("sleep 0.5"))
    assert beside.exit is not None and beside.exit.exit_code == 0
    await own.node.delete(name, force=True)
    assert (await own.told.exit(name, nth=2)).exit_code == 137
    assert await stop(own_agent) == 0


async def test_a_layer_of_several_runs_goes_with_its_container(
    own: Site, own_agent: AgentProcess
) -> None:
    """Also where a boot has taken the last run away: nothing is left of it."""
    await start(own_agent)
    name = await own.run(shell("echo 1 >>/file; exit 0"))
    await own.told.exit(name)
    made = await own.node.start(name)
    await own.told.exit(name, nth=2)
    await kill(own_agent)
    folder = own_agent.folder
    await asyncio.to_thread(boot_anew, folder / "state", folder / "run")
    await start(own_agent)
    await own.node.start(name)
    await own.told.exit(name, nth=3)
    upper = folder / "state" / "layers" / made.incarnation.lower() / "upper"
    assert (upper / "file").read_text() == "1\n1\n1\n"
    await kill(own_agent)
    await asyncio.to_thread(boot_anew, folder / "state", folder / "run")
    await start(own_agent)
    await own.node.delete(name)
    assert not [name for name in names_below(folder) if made.incarnation.lower() in name]
    assert await stop(own_agent) == 0


async def test_what_is_swept_away_in_the_same_boot_is_told_as_lost(
    own: Site, own_agent: AgentProcess
) -> None:
    """Nobody saw the end and nothing tells of it: no code is invented. It can be started again."""
    await start(own_agent)
    name = await own.run()
    await kill(own_agent)
    await asyncio.to_thread(sweep_away, own_agent.folder / "run")
    await start(own_agent)
    exit_ = await own.told.exit(name)
    assert (exit_.reason, exit_.exit_code, exit_.status_known) == ("monitor-lost", None, False)
    assert own.told.types(name) == ["created", "started", "reattach-failed", "exited"]
    assert "is gone" in (await own.told.event(name, "reattach-failed")).data["message"]
    await own.node.start(name)
    assert (await own.told.event(name, "started", nth=2)).run == 2
    await own.node.delete(name, force=True)


@requires("criu")
@pytest.mark.parametrize("step", [Step.CHECKPOINT_INTENDED, Step.CHECKPOINT_WRITTEN])
async def test_a_checkpoint_that_was_under_way(
    own: Site, own_agent: AgentProcess, step: Step
) -> None:
    """Whole, and told before the end; or none, and what there was of it takes no room."""
    await start(own_agent, **{KILL_AT_VARIABLE: str(step)})
    name = await own.run(COUNTS, checkpointable=True)
    taking = asyncio.create_task(own.node.checkpoint(name, "one", timeout_s=BOOTED_S))
    assert await asyncio.to_thread(own_agent.wait) == -9
    await kill(own_agent)
    folder = own_agent.folder
    await asyncio.to_thread(boot_anew, folder / "state", folder / "run")
    await start(own_agent)
    whole = step is Step.CHECKPOINT_WRITTEN
    came = "checkpointed" if whole else "checkpoint-failed"
    assert (await own.told.event(name, "exited")).data["reason"] == "node-reboot"
    assert own.told.types(name) == ["created", "started", came, "exited"]
    [answer] = await asyncio.gather(taking, return_exceptions=True)
    assert isinstance(answer, CheckpointValue if whole else Canceled)
    images = [path.name for path in (folder / "state" / "checkpoints").glob("*/*")]
    assert images == (["one"] if whole else [])
    if whole:
        await own.node.restore(name, "one")
    await own.clear()
    assert await stop(own_agent) == 0
