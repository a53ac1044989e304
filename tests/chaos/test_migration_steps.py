"""Either agent dies at each step of a migration: it comes to an end, and one copy goes on."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

import pytest
from tests.integration.bounds import bounded
from tests.integration.counting import COUNTS, Counting
from tests.integration.two_nodes import Pair
from tests.integration.world import Site, start
from tests.support.eventually import eventually
from tests.support.requirements import requires

from wharfside_agent.core.journal import Step
from wharfside_agent.services.journal import KILL_AT_VARIABLE
from wharfside_client.moving import new_migration
from wharfside_protocol.errors import NotFound, WharfsideError
from wharfside_protocol.migration import MigrateArgs, ReceiveArgs
from wharfside_protocol.states import ContainerState

pytestmark = requires("criu")

RUNS = ContainerState.RUNNING


@dataclass(frozen=True)
class Scene:
    """Who dies where; `refused`: B cannot restore it."""

    who: str
    step: Step
    refused: bool = False

    def __str__(self) -> str:
        return f"{self.who}-{self.step}{'-refused' if self.refused else ''}"


OFTEN = [
    Scene("a", Step.SOURCE_CARRYING),
    Scene("a", Step.SOURCE_ASKED),
    Scene("a", Step.SOURCE_LEAVING),
    Scene("a", Step.SOURCE_REVIVING, refused=True),
    Scene("b", Step.TARGET_RESTORING),
    Scene("b", Step.RESTORE_DONE),
]
RARELY = [
    Scene("a", Step.SOURCE_DUMPING),
    Scene("b", Step.TARGET_EXPECTING),
    Scene("b", Step.TARGET_RESTORED),
    Scene("b", Step.TARGET_FAILED, refused=True),
    Scene("a", Step.CHECKPOINT_INTENDED),
    Scene("a", Step.CHECKPOINT_FROZEN),
    Scene("a", Step.CHECKPOINT_DUMPED),
    Scene("a", Step.CHECKPOINT_WRITTEN),
    Scene("a", Step.CHECKPOINT_COMMITTED),
    Scene("a", Step.DELETE_INTENDED),
    Scene("a", Step.DELETE_DONE),
    Scene("a", Step.DELETE_COMMITTED),
    Scene("a", Step.SOURCE_GONE),
    Scene("a", Step.RERUN_CLEARED, refused=True),
    Scene("a", Step.RERUN_RAISED, refused=True),
    Scene("a", Step.RESTORE_DONE, refused=True),
    Scene("a", Step.RESTORE_COMMITTED, refused=True),
    Scene("a", Step.SOURCE_BACK, refused=True),
    Scene("b", Step.RESTORE_INTENDED),
    Scene("b", Step.RESTORE_COMMITTED),
    Scene("b", Step.TARGET_KEPT),
    Scene("b", Step.TARGET_SETTLED, refused=True),
]
SCENES = [
    *(pytest.param(scene, id=str(scene)) for scene in OFTEN),
    *(pytest.param(scene, id=str(scene), marks=pytest.mark.soak) for scene in RARELY),
]


async def moved(pair: Pair, name: str, migration: str, *, refused: bool) -> None:
    """As the client's `move`, but a name that is refused is taken in between."""
    facts = await pair.a.node.facts(name)
    spec = (await pair.a.node.inspect(name)).spec
    announced = ReceiveArgs(
        migration=migration, container=name, spec=spec, source="node-a", facts=facts
    )
    received = await pair.b.node.receive(announced, timeout_s=60)
    if refused:
        await pair.b.run(name=name)
    args = MigrateArgs(container=name, migration=migration, target="node-b", facts=received.facts)
    with contextlib.suppress(WharfsideError):
        await pair.a.node.migrate(args, timeout_s=60)


@pytest.mark.parametrize("scene", SCENES)
async def test_one_copy_goes_on(pair: Pair, scene: Scene) -> None:
    name = await pair.a.run(COUNTS, checkpointable=True)
    counting = await Counting.of(pair.a, name)
    await counting.further(1)
    who = pair.of(scene.who)
    await asyncio.to_thread(who.agent.kill)
    await start(who.agent, **{KILL_AT_VARIABLE: scene.step})
    migration = new_migration()
    moving = asyncio.create_task(moved(pair, name, migration, refused=scene.refused))
    await bounded(asyncio.to_thread(who.agent.wait, 60.0), f"death at {scene.step}", 65.0)
    await asyncio.to_thread(who.agent.kill)
    await start(who.agent)
    await eventually(lambda: over(pair, migration), "it is over", within_s=60.0)
    # its caller may still wait for the life that died
    moving.cancel()
    await asyncio.wait([moving])
    await one_copy(pair, name, refused=scene.refused)


async def over(pair: Pair, migration: str) -> bool:
    views = [
        view
        for site in (pair.a, pair.b)
        for view in (await site.node.migrations()).migrations
        if view.migration == migration
    ]
    return {view.side for view in views if view.over} == {"source", "target"}


async def one_copy(pair: Pair, name: str, *, refused: bool) -> None:
    """It counts on without a gap, on A or on B, and the other node has none of it."""
    copies = []
    for site in (pair.a, pair.b):
        with contextlib.suppress(NotFound):
            view = await site.node.inspect(name)
            if view.state is RUNS and not (refused and site is pair.b):
                copies.append((site, view))
    [(site, view)] = copies
    copy = await Counting.of(site, name)
    await copy.further(view.run)
    await site.node.stop(name, grace_s=0)
    assert copy.written() == list(range(len(copy.written())))
    for each in (pair.a, pair.b):
        await eventually(lambda each=each: no_image(each), "the images are gone")  # type: ignore[misc]


async def no_image(site: Site) -> bool:
    return (await site.node.checkpoints()).checkpoints == []
