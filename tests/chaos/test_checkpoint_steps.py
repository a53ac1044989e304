"""The agent dies at each step of a checkpoint and of a restore: finished or undone, and exact."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from tests.integration.bounds import bounded
from tests.integration.counting import COUNTS, Counting
from tests.integration.raw import new_id
from tests.integration.world import Site, World, kill, open_site, start
from tests.support.agent import AgentProcess
from tests.support.requirements import requires

from wharfside_agent.core.journal import Step
from wharfside_agent.services.journal import KILL_AT_VARIABLE
from wharfside_protocol.checkpoints import CheckpointArgs, RestoreArgs
from wharfside_protocol.exits import ExitReason
from wharfside_protocol.records import Record

pytestmark = requires("criu")

TAKING = (
    Step.CHECKPOINT_INTENDED,
    Step.CHECKPOINT_FROZEN,
    Step.CHECKPOINT_DUMPED,
    Step.CHECKPOINT_WRITTEN,
    Step.CHECKPOINT_COMMITTED,
)
IN_PLACE = (
    Step.RERUN_CLEARED,
    Step.RERUN_RAISED,
    Step.RESTORE_DONE,
    Step.RESTORE_COMMITTED,
)
AS_NEW = (Step.RESTORE_INTENDED, Step.RESTORE_DONE, Step.RESTORE_COMMITTED)
FINISHED = {
    Step.CHECKPOINT_WRITTEN,
    Step.CHECKPOINT_COMMITTED,
    Step.RESTORE_DONE,
    Step.RESTORE_COMMITTED,
}
"""From these on the next life finishes it; before them it undoes it."""


@dataclass(frozen=True)
class Scene:
    """A command, and what its death at `step` is seen on: a container that counts."""

    step: Step
    what: str
    exit: bool = False
    tcp: bool = False

    @property
    def finished(self) -> bool:
        """With `tcp` CRIU itself ends the processes: what it has dumped is all that is left."""
        return self.step in FINISHED or (self.tcp and self.step is Step.CHECKPOINT_DUMPED)

    def __str__(self) -> str:
        return f"{self.what}-{self.step}"


SCENES = [
    *(Scene(step, "going-on") for step in TAKING),
    *(Scene(step, "ending", exit=True) for step in TAKING),
    *(Scene(step, "by-criu", exit=True, tcp=True) for step in TAKING[2:4]),
    *(Scene(step, "in-place", exit=True) for step in IN_PLACE),
    *(Scene(step, "as-new") for step in AS_NEW),
]
SEEN_ELSEWHERE = {"going-on-checkpoint.intended", "going-on-checkpoint.dumped"}
SEEN_ELSEWHERE |= {"in-place-rerun.cleared", "in-place-restore.committed"}
"""In another scene, or in test_each_step.py; here only in the long run."""


@pytest.fixture
async def site(world: World, agent: AgentProcess) -> AsyncIterator[Site]:
    async with open_site(world, agent) as site:
        yield site
        await site.clear()
        for each in (await site.node.checkpoints()).checkpoints:
            assert each.broken is None
            assert each.container is not None
            await site.node.delete_checkpoint(
                each.container, each.checkpoint, incarnation=each.incarnation
            )
        assert not list((agent.folder / "state" / "checkpoints").glob("*/.*"))
        agent.drain()


def parameter(scene: Scene) -> object:
    marks = [pytest.mark.soak] if str(scene) in SEEN_ELSEWHERE else []
    return pytest.param(scene, marks=marks, id=str(scene))


@pytest.mark.parametrize("scene", [parameter(scene) for scene in SCENES])
async def test_after_a_death_at(site: Site, agent: AgentProcess, scene: Scene) -> None:
    name, id_ = site.name(scene.what), new_id()
    await site.run(COUNTS, name=name, checkpointable=True)
    counting = await Counting.of(site, name)
    await counting.further(1)
    await _dies_of(site, agent, scene, name, id_)
    await start(agent)
    op, args = _command(scene, name)
    answer = await site.node.request(op, args, command_id=id_, timeout_s=30)
    assert answer.ok == (scene.finished), answer.error
    await {
        "going-on": _goes_on,
        "ending": _has_ended,
        "by-criu": _has_ended,
        "in-place": _goes_on_in_place,
        "as-new": _is_two,
    }[scene.what](site, scene, name, counting)
    assert counting.logged() == list(range(counting.logged()[-1] + 1))
    assert counting.written() == counting.logged()


def _command(scene: Scene, name: str) -> tuple[str, Record]:
    if scene.step in TAKING:
        return "checkpoint", CheckpointArgs(
            container=name, checkpoint="one", exit=scene.exit, tcp=scene.tcp
        )
    if scene.what == "in-place":
        return "restore", RestoreArgs(container=name, checkpoint="one")
    return "restore", RestoreArgs(container=f"{name}-b", checkpoint="one", source=name)


async def _dies_of(site: Site, agent: AgentProcess, scene: Scene, name: str, id_: str) -> None:
    """Does what leads to the step, in a life that ends there."""
    if scene.step not in TAKING:
        await site.node.checkpoint(name, "one", exit=scene.exit)
    if scene.what == "in-place":
        await site.told.exit(name)
    await kill(agent)
    await start(agent, **{KILL_AT_VARIABLE: str(scene.step)})
    op, args = _command(scene, name)
    asked = asyncio.create_task(site.node.request(op, args, command_id=id_, timeout_s=60))
    code = await bounded(asyncio.to_thread(agent.wait), f"the agent's death at {scene.step}")
    assert code == -9
    await kill(agent)
    asked.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asked


async def _goes_on(site: Site, scene: Scene, name: str, counting: Counting) -> None:
    seen = len(counting.logged())
    await counting.further(1, seen + 3)
    told = await _checkpoints_told(site, scene, name)
    assert "exited" not in told
    await site.node.stop(name, grace_s=0)


async def _has_ended(site: Site, scene: Scene, name: str, counting: Counting) -> None:
    if not scene.finished:
        await _goes_on(site, scene, name, counting)
        return
    assert (await site.told.exit(name)).reason == ExitReason.CHECKPOINT
    await _checkpoints_told(site, scene, name)
    await site.node.restore(name, "one")
    await counting.further(2)
    await site.node.stop(name, grace_s=0)


async def _checkpoints_told(site: Site, scene: Scene, name: str) -> list[str]:
    taken = scene.finished
    await site.told.event(name, "checkpointed" if taken else "checkpoint-failed")
    told = site.told.types(name)
    assert told.count("checkpointed") + told.count("checkpoint-failed") == 1
    assert len((await site.node.checkpoints(name)).checkpoints) == taken
    return told


async def _goes_on_in_place(site: Site, scene: Scene, name: str, counting: Counting) -> None:
    run = (await site.node.inspect(name)).run
    if scene.finished:
        assert run == 2
    else:
        run = (await site.node.restore(name, "one")).run
    await counting.further(run)
    await site.node.stop(name, grace_s=0)
    told = site.told.types(name)
    assert told.count("restored") == 1


async def _is_two(site: Site, scene: Scene, name: str, counting: Counting) -> None:
    """The old one never stood still; the new one is there, or its name is free."""
    other = f"{name}-b"
    if not scene.finished:
        assert (await site.told.event(other, "create-failed")).run == 1
        await site.node.restore(other, "one", source=name)
    copy = await Counting.of(site, other)
    await copy.further(1)
    await site.node.stop(other, grace_s=0)
    assert copy.written() == list(range(copy.written()[-1] + 1))
    assert copy.logged() == copy.written()[copy.logged()[0] :]
    await site.node.stop(name, grace_s=0)
