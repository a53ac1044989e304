"""A running container moves between two real agents that share nothing but the server."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from msgspec.structs import replace
from tests.integration.bounds import bounded
from tests.integration.cli_kit import ENTRY, environment, typed
from tests.integration.counting import COUNTS, Counting
from tests.integration.fifos import shell
from tests.integration.two_nodes import Pair
from tests.integration.world import Site, World, open_site, start, stop
from tests.support.cable import Cable, cable_to
from tests.support.eventually import eventually
from tests.support.requirements import requires
from tests.support.screen import open_screen

from wharfside_client.calls import new_command_id
from wharfside_client.moving import move
from wharfside_protocol.checkpoints import Phase
from wharfside_protocol.errors import (
    AlreadyExists,
    Canceled,
    Denied,
    Unsupported,
    WharfsideError,
    WrongState,
)
from wharfside_protocol.events import Event
from wharfside_protocol.exits import ExitReason
from wharfside_protocol.migration import MigrateArgs, ReceiveArgs
from wharfside_protocol.node_commands import Progress
from wharfside_protocol.specs import Restart
from wharfside_protocol.states import ContainerState

pytestmark = requires("criu")

LARGE = 48
"""MiB: six times what may be on its way at once."""

LARGE_COUNTS = shell(f"dd if=/dev/zero of=/tmp/large bs=1M count={LARGE} 2>&-; {COUNTS[-1]}")


async def announced(pair: Pair, name: str) -> MigrateArgs:
    """The first half of `move`: B expects it, and A was told nothing yet."""
    details, facts = await pair.a.node.inspect(name), await pair.a.node.facts(name)
    expected = ReceiveArgs(
        migration=f"move-of-{name}",
        container=name,
        spec=details.spec,
        source="node-a",
        facts=facts,
        timeout_s=60.0,
    )
    there = (await pair.b.node.receive(expected)).facts
    return MigrateArgs(
        container=name, migration=expected.migration, target="node-b", facts=there, name=name
    )


def last(event: Event, incarnation: str) -> bool:
    return (event.node, event.type, event.incarnation) == ("node-b", "exited", incarnation)


async def test_a_counter_goes_on_on_the_other_node(pair: Pair) -> None:
    """Not a number is lost or said twice, over both nodes; the exit comes from node B."""
    name = await pair.a.run(COUNTS, checkpointable=True, restart=Restart(policy="always"))
    before = await Counting.of(pair.a, name)
    await before.further(1)
    left = (await pair.a.node.inspect(name)).incarnation
    moved = await move(pair.a.node, name, pair.b.node)
    logged, written = before.logged(), moved.bytes
    assert (moved.incarnation, moved.target, moved.restored_run) == (left, "node-b", 1)
    assert moved.restored != left and written > 0
    assert (await pair.a.node.inspect(name)).state is ContainerState.DELETED
    after = await Counting.of(pair.b, name)
    await after.further(1)
    details = await pair.b.node.inspect(name)
    assert (details.incarnation, details.state) == (moved.restored, ContainerState.RUNNING)
    assert details.restored_from is not None and details.restored_from.incarnation == left
    await pair.b.node.stop(name, grace_s=0)
    await pair.b.told.until(lambda event: last(event, moved.restored), "its exit, of node B")
    assert after.written() == list(range(len(after.written())))
    assert after.logged() == after.written()[after.logged()[0] :]
    assert logged == []  # its logs went with it
    told = await pair.a.told.event(name, "exited")
    assert told.data["reason"] == ExitReason.CHECKPOINT
    await pair.a.told.event(name, "deleted")
    left_behind = [event.type for event in pair.a.told.of(name) if event.node == "node-a"]
    assert left_behind == ["created", "started", "checkpointed", "exited", "deleted"]
    assert (await pair.a.node.checkpoints()).checkpoints == []

    async def dropped() -> bool:
        return (await pair.b.node.checkpoints()).checkpoints == []

    await eventually(dropped, "B has dropped the image")


async def test_there_and_back_again(pair: Pair) -> None:
    name = await pair.a.run(COUNTS, checkpointable=True)
    here, there = pair.a, pair.b
    for _ in range(4):
        await (await Counting.of(here, name)).further(1)
        await move(here.node, name, there.node)
        here, there = there, here
    last = await Counting.of(here, name)
    await last.further(1)
    await here.node.stop(name, grace_s=0)
    assert last.written() == list(range(len(last.written())))


async def test_another_name_there(pair: Pair) -> None:
    name, other = await pair.a.run(COUNTS, checkpointable=True), pair.b.name("other")
    moved = await move(pair.a.node, name, pair.b.node, name=other)
    assert moved.name == other
    assert (await pair.b.node.inspect(other)).state is ContainerState.RUNNING


async def test_a_name_that_is_taken_there(pair: Pair) -> None:
    name = await pair.a.run(COUNTS, checkpointable=True)
    await pair.b.run(COUNTS, name=name)
    with pytest.raises(AlreadyExists):
        await move(pair.a.node, name, pair.b.node)
    assert (await pair.a.node.inspect(name)).state is ContainerState.RUNNING


@pytest.mark.parametrize("older", ["source", "target"])
async def test_another_format_of_images_is_refused_before_anything_is_dumped(
    pair: Pair, older: str
) -> None:
    name = await pair.a.run(COUNTS, checkpointable=True)
    formats = "writes checkpoints of format [12], node-b reads format [12]: bring both agents"
    if older == "source":
        details, facts = await pair.a.node.inspect(name), await pair.a.node.facts(name)
        asked = ReceiveArgs(
            migration=f"move-of-{name}",
            container=name,
            spec=details.spec,
            source="node-a",
            facts=replace(facts, image_format=1),
        )
        with pytest.raises(Unsupported, match=formats):
            await pair.b.node.receive(asked)
    else:
        args = await announced(pair, name)
        with pytest.raises(Unsupported, match=formats):
            await pair.a.node.migrate(replace(args, facts=replace(args.facts, image_format=1)))
        await pair.b.node.abort_migration(args.migration)
    assert (await pair.a.node.inspect(name)).state is ContainerState.RUNNING
    assert (await pair.a.node.checkpoints()).checkpoints == []
    assert [event.type for event in pair.a.told.of(name)] == ["created", "started"]


async def test_a_name_that_is_taken_meanwhile_brings_it_back(pair: Pair) -> None:
    """A proven failure: A goes on from where it was, as its next run."""
    name = await pair.a.run(LARGE_COUNTS, checkpointable=True)
    counting = await Counting.of(pair.a, name)
    await counting.further(1)
    args = await announced(pair, name)
    await pair.b.run(COUNTS, name=name)
    with pytest.raises(WharfsideError) as failed:
        await pair.a.node.migrate(args)
    assert failed.value.details.get("outcome") == "back", failed.value
    details = await pair.a.node.inspect(name)
    assert (details.state, details.run) == (ContainerState.RUNNING, 2)
    await counting.further(2)
    await pair.a.node.stop(name, grace_s=0)
    assert counting.logged() == counting.written() == list(range(len(counting.logged())))


async def test_what_cannot_move_stays(pair: Pair) -> None:
    name = await pair.a.run(COUNTS)
    with pytest.raises(Unsupported, match="checkpointable"):
        await move(pair.a.node, name, pair.b.node)
    paused = await pair.a.run(COUNTS, checkpointable=True)
    await pair.a.node.pause(paused)
    with pytest.raises(WrongState):
        await move(pair.a.node, paused, pair.b.node)
    assert (await pair.a.node.inspect(name)).state is ContainerState.RUNNING
    assert (await pair.a.node.inspect(paused)).state is ContainerState.PAUSED
    await no_more_comes(pair.b)


async def test_a_policy_there_refuses_it_before_it_is_dumped(pair: Pair, own: Site) -> None:
    """B judges its spec by its own rules when it is announced; A is not even asked."""
    own.agent.write_config("\n[policy]\nlimits_required = ['pids']\n")
    await start(own.agent)
    await own.listed()
    name = await pair.a.run(COUNTS, checkpointable=True)
    with pytest.raises(Denied, match="pids"):
        await move(pair.a.node, name, own.node)
    assert (await pair.a.node.inspect(name)).state is ContainerState.RUNNING
    await pair.a.node.stop(name, grace_s=0)
    await pair.a.told.exit(name)
    assert pair.a.told.types(name) == ["created", "started", "stopping", "exited"]
    assert (await own.node.migrations()).migrations == []
    await stop(own.agent)


async def test_nothing_else_touches_it_on_its_way(pair: Pair) -> None:
    """B is away: A holds it in `migrating`, until somebody gives up. Its image, too: it is all
    that is left of it."""
    name = await pair.a.run(LARGE_COUNTS, checkpointable=True)
    args = await announced(pair, name)
    await asyncio.to_thread(pair.b.agent.kill)
    moving = asyncio.create_task(pair.a.node.migrate(args))

    async def held() -> bool:
        return (await pair.a.node.inspect(name)).state is ContainerState.MIGRATING

    await eventually(held, "A holds it", within_s=20)
    for op in (pair.a.node.start, pair.a.node.stop, pair.a.node.delete):
        with pytest.raises(WrongState, match="migrat"):
            await op(name)
    [image] = (await pair.a.node.checkpoints(name)).checkpoints
    with pytest.raises(WrongState, match=args.migration):
        await pair.a.node.delete_checkpoint(name, image.checkpoint)
    ran = await typed(pair.a.world.url, "checkpoint", "prune", "-f", f"node-a/{name}")
    assert (ran.code, ran.out) == (0, "0B freed\n")
    assert f"{image.checkpoint} of {image.incarnation} is left alone" in ran.err
    ran = await typed(pair.a.world.url, "checkpoint", "prune", "-f", "node-a", "--json")
    assert [each["checkpoint"] for each in ran.json["in_use"]] == [image.checkpoint]
    await pair.a.node.abort_migration(args.migration)
    with pytest.raises(WharfsideError) as failed:
        await moving
    assert failed.value.details["outcome"] == "back"
    assert (await pair.a.node.inspect(name)).state is ContainerState.RUNNING
    await asyncio.to_thread(lambda: pair.b.agent.start(until="bus-connected"))


@dataclass
class Far:
    """A target behind a cable that this process carries: while a test does nothing, nothing
    comes there, and so none is too late to cut it."""

    site: Site
    cable: Cable


@pytest.fixture
async def far(world: World, pair: Pair) -> AsyncIterator[Far]:
    name = world.new_name("far")
    async with cable_to(world.server.port) as cable:
        with world.agent(name, server=cable.url) as agent:
            async with open_site(world, agent) as site:
                await start(agent)
                await site.listed()
                await pair.a.fleet.setup.add_carriage(name)
                yield Far(site, cable)
                await site.clear()
                assert await stop(agent) == 0


async def test_canceled_while_it_is_carried(pair: Pair, far: Far) -> None:
    """How far it is is told in bytes; given up in the midst, it goes on where it was."""
    name, id_ = await pair.a.run(LARGE_COUNTS, checkpointable=True), new_command_id()
    counting = await Counting.of(pair.a, name)
    await counting.further(1)
    told: list[Progress] = []
    midway = asyncio.Event()

    def tell(progress: Progress) -> None:
        if progress.phase is Phase.CARRYING:
            told.append(progress)
            if progress.left < progress.total:
                far.cable.cut()  # at once: else it may be over soon
                midway.set()

    async with pair.a.fleet.progress("node-a", id_, tell):
        moving = asyncio.create_task(move(pair.a.node, name, far.site.node, command_id=id_))
        await bounded(midway.wait(), "a part of it is carried")
        assert (await pair.a.node.cancel(id_)).canceled
        with pytest.raises(Canceled) as failed:
            await moving
    far.cable.mend()
    assert failed.value.details["outcome"] == "back"
    lefts = [progress.left for progress in told]
    assert lefts == sorted(lefts, reverse=True)
    assert 0 < lefts[-1] < lefts[0] == told[0].total > LARGE * 1024 * 1024
    await counting.further(2)
    assert (await pair.a.node.inspect(name)).run == 2
    await pair.a.node.stop(name, grace_s=0)
    assert counting.logged() == counting.written() == list(range(len(counting.logged())))
    await no_more_comes(far.site)


async def no_more_comes(site: Site) -> None:
    async def settled() -> bool:
        return all(view.over for view in (await site.node.migrations()).migrations)

    await eventually(settled, "the target knows how each ended")


async def test_its_way_on_a_screen(pair: Pair, far: Far) -> None:
    """While its target hears nothing the bar stands still."""
    name, env = await pair.a.run(LARGE_COUNTS, checkpointable=True), environment(pair.a.world.url)
    words = ["migrate", f"node-a/{name}", far.site.agent.name]
    async with open_screen(ENTRY, words, env=env, rows=24, columns=80) as screen:

        async def leaves() -> bool:
            return not all(view.over for view in (await pair.a.node.migrations()).migrations)

        await eventually(leaves, "it is about to leave")
        far.cable.cut()
        bar = re.compile(rf"carrying .*/{LARGE}\.\d MiB")
        await screen.until(lambda: bar.match(screen.lines[1]), "the bar")
        far.cable.mend()
        await screen.shows(f"{far.site.agent.name}/{name} goes on: ")
        assert "carrying" not in screen.text
        assert await screen.ended() == 0


async def test_at_a_terminal(pair: Pair) -> None:
    name, url = await pair.a.run(COUNTS, checkpointable=True), pair.a.world.server.url
    ran = await typed(url, "migrate", f"node-a/{name}", "node-b")
    assert ran.code == 0, ran.err
    assert ran.out.startswith(f"node-b/{name} goes on: ")
    ran = await typed(url, "migrations", "node-a", "node-b")
    [gone] = [line for line in ran.out.splitlines() if name in line and "gone" in line]
    carried = re.search(r"(\S+) of (\S+)", gone)
    assert carried is not None and carried[1] == carried[2]
    ran = await typed(url, "migrations", "node-a", "nowhere")
    assert ran.code == 125 and gone.split()[0] in ran.out
    assert "nowhere is not in this list: no agent of node nowhere" in ran.err
    ran = await typed(url, "migrations", "nowhere", "--json")
    assert (ran.code, ran.out) == (125, "")
    ran = await typed(url, "migrate", "--abort", "no-such-migration", "node-a")
    assert ran.code == 1 and "migrations" in ran.err
    ran = await typed(url, "migrate", f"node-a/{name}")
    assert ran.code == 2
