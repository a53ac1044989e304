"""Who gives up a checkpoint in the moment in which it is committed comes too late."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import tests.support.agent as support
from tests.integration.bounds import bounded
from tests.integration.counting import COUNTS, Counting
from tests.integration.fifos import Cues
from tests.integration.two_nodes import Pair
from tests.integration.world import Site, start, stop
from tests.support.requirements import requires

from wharfside_client.calls import deadline_in
from wharfside_client.moving import move
from wharfside_protocol.errors import Canceled, DeadlineExceeded, WharfsideError
from wharfside_protocol.exits import ExitReason
from wharfside_protocol.states import ContainerState

pytestmark = requires("criu")

HALTED_AGENT = Path(support.__file__).with_name("halted_commit_agent.py")
SOON_S = 4.0


@dataclass
class Halted:
    """A node whose agent stands still before it commits a checkpoint, until `cues.go`."""

    site: Site
    cues: Cues


@pytest.fixture
async def halted(own: Site, tmp_path: Path) -> AsyncIterator[Halted]:
    cues = Cues(tmp_path / "halt")
    own.agent.program = (str(HALTED_AGENT),)
    await start(own.agent, HALT=str(cues.folder))
    await own.listed()
    yield Halted(own, cues)
    await own.clear()
    assert await stop(own.agent) == 0
    cues.close()


async def test_a_deadline_that_passes_while_it_is_committed(halted: Halted) -> None:
    """What is told as `checkpointed` is there, and the container is over, as was asked."""
    site, name = halted.site, await halted.site.run(COUNTS, checkpointable=True)
    counting = await Counting.of(site, name)
    await counting.further(1)
    asked = asyncio.create_task(
        site.node.checkpoint(name, "one", exit=True, deadline=deadline_in(SOON_S))
    )
    await halted.cues.ready()
    await asyncio.wait([asked], timeout=SOON_S + 1)
    halted.cues.go()
    assert (await site.told.exit(name)).reason == ExitReason.CHECKPOINT
    try:
        await bounded(asked, "the answer")
    except DeadlineExceeded as late:
        assert "undone" not in late.message
    assert "checkpoint-failed" not in site.told.types(name)
    [view] = (await site.node.checkpoints(name)).checkpoints
    assert (view.checkpoint, view.exit, view.broken) == ("one", True, None)
    await site.node.restore(name, "one")
    await counting.further(2)


async def test_a_migration_that_is_given_up_while_its_dump_is_committed(
    halted: Halted, pair: Pair
) -> None:
    """Too late for the dump, and not for the migration: it goes on where it was."""
    site, name = halted.site, await halted.site.run(COUNTS, checkpointable=True)
    counting = await Counting.of(site, name)
    await counting.further(1)
    moving = asyncio.create_task(move(site.node, name, pair.b.node, migration="given-up-late"))
    await halted.cues.ready()
    await site.node.abort_migration("given-up-late")
    await site.node.abort_migration("given-up-late")
    halted.cues.go()
    with pytest.raises(Canceled) as failed:
        await moving
    assert failed.value.details["outcome"] == "back"
    assert (await site.node.inspect(name)).state is ContainerState.RUNNING
    await counting.further(2)
    await site.node.stop(name, grace_s=0)
    assert counting.logged() == counting.written() == list(range(len(counting.logged())))
    assert "checkpoint-failed" not in site.told.types(name)
    with pytest.raises(WharfsideError):
        await pair.b.node.inspect(name)
