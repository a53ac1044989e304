"""The agent dies at each step of its journal: afterwards all is finished or undone, and told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
from tests.chaos.processes import nothing_left
from tests.chaos.published import all_published
from tests.integration.bounds import bounded
from tests.integration.fifos import ENDS_ON_CUE, SLEEPS, Cues
from tests.integration.raw import new_id
from tests.integration.world import Site, World, command, everything, kill, open_site, start
from tests.support.agent import AgentProcess
from tests.support.eventually import eventually

from wharfside_agent.core.journal import Step
from wharfside_agent.services.journal import KILL_AT_VARIABLE
from wharfside_protocol.command_base import ContainerArgs
from wharfside_protocol.commands import DeleteArgs, ExecArgs, SignalArgs, StopArgs, UpdateArgs
from wharfside_protocol.envelope import Result
from wharfside_protocol.errors import ErrorCode
from wharfside_protocol.events import Event
from wharfside_protocol.exits import ExitReason
from wharfside_protocol.records import Record
from wharfside_protocol.specs import Limits


@dataclass(frozen=True)
class Scene:
    """One container, and the command that reached the step. `op` empty: it ended by itself."""

    name: str
    op: str
    args: Record | None
    id: str


@dataclass(frozen=True)
class After:
    """How things stand in the lives that follow.

    `state` None: the name is free. `ok`: what the command's id answers, None where
    there was no command. `told`: the events in order, without `reattached`.
    """

    state: str | None
    ok: bool | None
    told: tuple[str, ...]


RUNS = ("created", "started")
ENDED = (*RUNS, "exited")
EXEC = (*RUNS, "exec-added")

# No life may come to its step by recovering what the life before it left: hence this order.
AFTER = {
    Step.DELETE_INTENDED: After(None, True, (*ENDED, "deleted")),
    Step.CREATE_INTENDED: After(None, False, ("create-failed",)),
    Step.DELETE_DONE: After(None, True, (*ENDED, "deleted")),
    Step.CREATE_DONE: After(None, False, ("create-failed",)),
    Step.DELETE_COMMITTED: After(None, True, (*ENDED, "deleted")),
    Step.CREATE_COMMITTED: After("created", True, ("created",)),
    Step.EXIT_SEEN: After("stopped", None, ENDED),
    Step.START_INTENDED: After("created", False, ("created",)),
    Step.EXIT_COMMITTED: After(None, None, (*ENDED, "deleted")),  # with auto-remove
    Step.START_DONE: After("running", True, RUNS),
    Step.STOP_INTENDED: After("stopped", True, (*RUNS, "stopping", "exited")),
    Step.START_COMMITTED: After("running", True, RUNS),
    Step.FREEZE_INTENDED: After("running", False, RUNS),
    Step.STOP_SIGNALED: After("stopped", True, (*RUNS, "stopping", "exited")),
    Step.EXEC_INTENDED: After("running", False, (*EXEC, "start-failed")),
    Step.FREEZE_DONE: After("paused", True, (*RUNS, "paused")),
    Step.EXEC_DONE: After("running", False, (*EXEC, "exec-started")),
    Step.EXEC_COMMITTED: After("running", False, (*EXEC, "exec-started")),
    Step.FREEZE_COMMITTED: After("paused", True, (*RUNS, "paused")),
    Step.RERUN_INTENDED: After("stopped", False, ENDED),
    Step.RERUN_CLEARED: After("stopped", False, ENDED),
    Step.RERUN_RAISED: After("stopped", False, (*ENDED, "start-failed")),
    Step.RERUN_DONE: After("stopped", False, (*ENDED, "start-failed")),
    Step.RERUN_COMMITTED: After("running", True, (*ENDED, "started")),
    Step.SIGNAL_INTENDED: After("stopped", True, ENDED),
    Step.UPDATE_COMMITTED: After("running", True, (*RUNS, "updated")),
    Step.SIGNAL_SENT: After("stopped", True, ENDED),
    Step.UPDATE_DONE: After("running", True, (*RUNS, "updated")),
    Step.UPDATE_INTENDED: After("running", True, (*RUNS, "updated")),
}


@pytest.fixture(scope="module")
def agent(world: World) -> Iterator[AgentProcess]:
    with world.agent("n1") as agent:
        yield agent
        assert agent.stop() == 0


@pytest.fixture(scope="module")
def scenes(world: World, agent: AgentProcess) -> dict[Step, Scene]:
    """What was done in the life that died at each step; then comes a life without end."""
    return asyncio.run(_die_at_each(world, agent))


async def _die_at_each(world: World, agent: AgentProcess) -> dict[Step, Scene]:
    scenes = {}
    async with open_site(world, agent) as site:
        for step in AFTER:
            await start(agent, **{KILL_AT_VARIABLE: str(step)})
            scenes[step] = await _reached(site, agent, step)
        await start(agent)
    return scenes


async def _reached(site: Site, agent: AgentProcess, step: Step) -> Scene:
    """Does what leads to the step, until the agent is dead of it."""
    cues = site.cues()
    scene = await _scene(site, step, cues)
    asked: asyncio.Task[Result] | None = None
    if scene.args is None:
        cues.go("0")
    else:
        sent = site.node.request(scene.op, scene.args, command_id=scene.id, timeout_s=60)
        asked = asyncio.create_task(sent)
    code = await bounded(asyncio.to_thread(agent.wait), f"the agent's death at {step}")
    assert code == -9
    await kill(agent)
    if asked is not None:
        asked.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asked
    return scene


async def _scene(site: Site, step: Step, cues: Cues) -> Scene:
    """All that must be there before; none of it comes to the step itself."""
    name, id_ = site.name(str(step).replace(".", "-")), new_id()
    phase = str(step).partition(".")[0]
    # Cues are gone with this site; those that must live on have none.
    ends = phase in ("exit", "delete")
    program, mounts = (ENDS_ON_CUE, [cues.mount]) if ends else (SLEEPS, [])
    auto_remove = step is Step.EXIT_COMMITTED
    spec = site.spec(name, program, mounts=mounts, auto_remove=auto_remove)
    if phase == "create":
        return Scene(name, "create", spec, id_)
    await site.node.create(spec)
    if phase == "start":
        return Scene(name, "start", ContainerArgs(container=name), id_)
    await site.node.start(name)
    ops: dict[str, tuple[str, Record | None]] = {
        "exec": ("exec", ExecArgs(container=name, process=command("sleep 1000"), exec="job")),
        "exit": ("", None),
        "freeze": ("pause", ContainerArgs(container=name)),
        "update": ("update", UpdateArgs(container=name, limits=Limits(pids=77))),
        "signal": ("signal", SignalArgs(container=name, signal="KILL")),
        "stop": ("stop", StopArgs(container=name, grace_s=0)),
        "delete": ("delete", DeleteArgs(container=name)),
        "rerun": ("start", ContainerArgs(container=name)),
    }
    if phase == "rerun":
        await site.node.signal(name, "KILL")
        await site.told.exit(name)
    if phase == "delete":
        cues.go("0")
        await site.told.exit(name)
    op, args = ops[phase]
    return Scene(name, op, args, id_)


def test_every_step_is_here() -> None:
    """The others in test_{mailbox,audit,checkpoint,migration}_steps.py."""
    others = ("mailbox.", "report.", "audit.", "checkpoint.", "restore.", "source.", "target.")
    assert set(AFTER) == {step for step in Step if not step.startswith(others)}


@pytest.mark.parametrize("step", AFTER)
async def test_after_a_death_at(site_of_lives: Site, scenes: dict[Step, Scene], step: Step) -> None:
    site, scene, after = site_of_lives, scenes[step], AFTER[step]
    await _answers(site, scene, after)
    states = {view.container: str(view.state) for view in await site.node.list(all=True)}
    assert states.get(scene.name) == after.state
    events = await _told(site, scene.name)
    passed_by = ("reattached", "signaled")
    assert tuple(event.type for event in events if event.type not in passed_by) == after.told
    if "updated" in after.told:
        assert (await site.node.inspect(scene.name)).spec.limits == Limits(pids=77)
        assert (await site.node.stats(scene.name)).stats.pids.limit == 77
    if after.state == "paused":
        await site.node.resume(scene.name)
    if after.state in ("running", "paused"):
        await _still_ends(site, scene.name)
    if after.state is not None:
        await site.node.delete(scene.name, force=True)
    for incarnation in {event.incarnation for event in events}:
        assert incarnation is not None
        await nothing_left(site, incarnation)
    # The name is usable again.
    await site.make(scene.name)
    await site.node.delete(scene.name, force=True)


@pytest.fixture
async def site_of_lives(
    world: World, agent: AgentProcess, scenes: dict[Step, Scene]
) -> AsyncIterator[Site]:
    """In the life after all of them."""
    async with open_site(world, agent) as site:
        yield site
        agent.drain()


async def _answers(site: Site, scene: Scene, after: After) -> None:
    """The command's id has a definite result; the repeat is not run anew."""
    if scene.args is None:
        return
    answer = await site.node.request(scene.op, scene.args, command_id=scene.id)
    assert (answer.replayed, answer.ok) == (True, after.ok), answer
    if answer.error is not None:
        assert answer.error.code is ErrorCode.CANCELED
    state = await site.node.result(scene.id)
    assert state.state == "done"
    assert state.result is not None
    assert (state.result.ok, state.result.value) == (answer.ok, answer.value)


async def _told(site: Site, name: str) -> list[Event]:
    """Its whole story, once the stream has all that this life began with."""
    await eventually(lambda: all_published(site), "all is published")
    told = await everything(site.world.server.url)
    return [event for event in told if event.container == name]


async def _still_ends(site: Site, name: str) -> None:
    """It is followed: its execs and itself end as ever, each told once."""
    for process in await site.node.list_processes(name):
        if process.exit is None and process.process != "init":
            await site.node.signal(name, "KILL", process=process.process)
            assert (await site.told.exit(name, process.process)).exit_code == 137
    stopped = await site.node.stop(name, grace_s=0)
    assert stopped.exit is not None
    assert stopped.exit.reason is ExitReason.STOP
    waited = await site.node.wait(name, run=stopped.run)
    assert waited.exit == stopped.exit
