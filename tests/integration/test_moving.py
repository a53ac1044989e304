"""A migration's words and image over a real server: broken off, repeated, and over any death."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.integration.bounds import BOUND_S, bounded
from tests.integration.moving_kit import MIGRATION, Move, open_move
from tests.integration.raw import open_raw
from tests.support.eventually import eventually
from tests.support.nats_server import NatsServer

from wharfside_agent.core.migration import Source, Target
from wharfside_client import connect
from wharfside_protocol.carriage import Go, Word, word_of
from wharfside_protocol.errors import AlreadyExists, ErrorCode, WrongState
from wharfside_protocol.specs import ContainerSpec
from wharfside_protocol.specs import Source as Files

MEBIBYTE = 1024 * 1024


@pytest.fixture
async def server(nats_server: NatsServer) -> AsyncIterator[NatsServer]:
    async with connect(nats_server.url) as fleet:
        await fleet.setup.bootstrap()
        for node in ("node-a", "node-b"):
            await fleet.setup.add_carriage(node)
    yield nats_server


@pytest.fixture
async def move(server: NatsServer, tmp_path: Path) -> AsyncIterator[Move]:
    async with open_move(server.url, tmp_path) as made:
        yield made


async def test_it_goes_on_there(move: Move) -> None:
    await move.expect()
    await move.depart()
    row = await move.over()
    assert (row.state, row.restored_run, row.failure) == (Source.GONE, 1, None)
    await move.settled(Target.KEPT)
    assert (move.truth.a_runs, move.truth.b_runs, move.truth.deleted) == (False, True, True)

    async def dropped() -> bool:
        return await move.b.images.listed() == []

    await eventually(dropped, "B has dropped the image")


async def test_a_large_image_comes_whole(server: NatsServer, tmp_path: Path) -> None:
    async with open_move(server.url, tmp_path, size=64 * MEBIBYTE) as move:
        await move.expect()
        await move.depart()
        assert (await move.over()).state is Source.GONE


async def test_what_nobody_announced_starts_nothing(move: Move) -> None:
    await move.depart()
    row = await move.over()
    assert row.state is Source.BACK
    assert row.failure is not None and row.failure.code is ErrorCode.NOT_FOUND
    assert (move.truth.a_runs, move.truth.b_runs) == (True, False)


async def test_a_refused_restore_brings_it_back(move: Move) -> None:
    move.truth.b_refuses = True
    await move.expect()
    await move.depart()
    row = await move.over()
    assert row.state is Source.BACK
    assert row.failure is not None and "CRIU says no" in row.failure.message
    await move.settled(Target.SETTLED)
    assert (move.truth.a_runs, move.truth.b_runs) == (True, False)


async def test_another_container_than_was_announced(move: Move) -> None:
    await move.expect(spec=ContainerSpec(source=Files(rootfs="/other")))
    await move.depart()
    row = await move.over()
    assert row.state is Source.BACK
    assert row.failure is not None and "another container" in row.failure.message
    assert await move.b.images.listed() == []


async def test_neither_runs_where_both_restores_fail(move: Move) -> None:
    move.truth.b_refuses = move.truth.a_refuses = True
    await move.expect()
    await move.depart()
    row = await move.over()
    assert row.state is Source.STRANDED
    assert (move.truth.a_runs, move.truth.b_runs) == (False, False)
    assert len(await move.a.images.listed()) == 1


async def test_an_id_is_announced_once(move: Move) -> None:
    await move.expect()
    with pytest.raises(AlreadyExists):
        await move.expect()


async def test_an_announcement_expires(move: Move) -> None:
    await move.expect(expires_at=1)
    await move.settled(Target.FAILED)
    await move.depart()
    assert (await move.over()).state is Source.BACK


async def test_given_up_while_it_is_carried(server: NatsServer, tmp_path: Path) -> None:
    async with open_move(server.url, tmp_path, size=64 * MEBIBYTE) as move:
        await move.expect()

        def cancel(state: Source | Target) -> None:
            if state is Source.CARRYING:
                move.a.tasks.start(move.a.departures.cancel(MIGRATION), "cancel")

        move.a.on_reached = cancel
        await move.depart()
        assert (await move.over()).state is Source.BACK
        await move.settled(Target.SETTLED)


async def asked(move: Move) -> None:
    await move.a.until(lambda: Source.ASKED in move.a.reached, "it has asked")


async def test_while_the_outcome_is_unknown_neither_starts(move: Move) -> None:
    """B dies with the GO in its hands: only its own word, or an operator's, moves A."""
    move.b.restores.clear()
    await move.expect()
    await move.depart()
    await asked(move)
    await move.settled(Target.RESTORING)
    await move.b.kill()
    await move.a.departures.cancel(MIGRATION)
    await move.a.again()
    assert not move.a.departures.outcome(MIGRATION).done()
    assert (move.truth.a_runs, move.truth.b_runs) == (False, False)
    await move.a.departures.target_is_dead(MIGRATION)
    assert (await move.over()).state is Source.BACK
    assert move.truth.a_runs
    # B comes back, and has nothing of it
    await move.b.start()
    await move.settled(Target.SETTLED)
    assert not move.truth.b_runs


async def said(server: NatsServer, kind: type[Word]) -> None:
    """The next such word of A lies in the stream; one without an answer is said again."""
    async with open_raw(server.url) as raw:
        words = await raw.client.subscribe(f"{raw.subjects.prefix}.ckpt.node-a.node-b.>")
        while not isinstance(word_of((await words.next_msg(BOUND_S)).data), kind):
            pass


async def test_a_go_that_waited_for_a_dead_node_starts_nothing(
    server: NatsServer, move: Move
) -> None:
    """The GO lies in the stream when the operator decides; B finds it there afterwards."""
    await move.expect()

    def last_words(state: Source | Target) -> None:
        if state is Source.ASKED:
            move.b.deaf = True
            for task in list(move.b.tasks._tasks):
                task.cancel()

    move.a.on_reached = last_words
    await move.depart()
    await asked(move)
    await move.b.kill()
    await said(server, Go)
    await move.a.departures.target_is_dead(MIGRATION)
    assert (await move.over()).state is Source.BACK
    move.b.deaf = False
    await move.b.start()
    await move.settled(Target.SETTLED)
    assert (move.truth.a_runs, move.truth.b_runs) == (True, False)


async def test_an_operator_who_was_wrong_is_told_by_one_survivor(move: Move) -> None:
    """B was not dead, and what it says comes late: its copy is ended."""
    await move.expect()

    def deafen(state: Source | Target) -> None:
        if state is Source.ASKED and move.a.ears is not None:
            move.a.ears.cancel()

    move.a.on_reached = deafen
    await move.depart()
    await move.settled(Target.RESTORED)
    await move.b.kill()
    move.truth.b_runs = False  # out of sight; `ended at B` is what counts
    await move.a.departures.target_is_dead(MIGRATION)
    assert (await move.over()).state is Source.BACK
    move.a.listen()
    await move.b.start()
    await move.settled(Target.SETTLED)
    assert "ended at B" in move.truth.log


async def test_nothing_to_abort(move: Move) -> None:
    await move.expect()
    await move.depart()
    await move.over()
    with pytest.raises(WrongState):
        await move.a.departures.target_is_dead(MIGRATION)


NEVER_HERE = (Source.STAYED, Source.STRANDED, Target.REVOKING)
STATES = [state for state in (*Source, *Target) if state not in NEVER_HERE]
AT_THE_SERVER = (Source.CARRYING, Source.ASKED, Target.RESTORED)
OWN = {"a": Source, "b": Target}
DEATHS = [
    *(
        pytest.param(who, state, marks=() if isinstance(state, OWN[who]) else pytest.mark.soak)
        for who in OWN
        for state in STATES
    ),
    *(("server", state) for state in AT_THE_SERVER),
]
"""Each side's death at its own steps; with --soak at the other one's, too."""


@pytest.mark.parametrize(("who", "state"), DEATHS)
async def test_a_death_at_each_step(
    server: NatsServer, tmp_path: Path, state: Source | Target, who: str
) -> None:
    """Whatever dies where: it comes to one end, and runs on one side."""
    async with open_move(server.url, tmp_path, size=2 * MEBIBYTE) as move:
        failing = state in (Source.REVIVING, Source.BACK, Target.FAILED, Target.SETTLED)
        move.truth.b_refuses = failing

        async def die() -> None:
            if who == "server":
                await asyncio.to_thread(server.kill)
                await asyncio.to_thread(server.start)
            else:
                await (move.a if who == "a" else move.b).again()

        deaths: list[asyncio.Task[None]] = []
        struck = asyncio.Event()

        def at(reached: Source | Target) -> None:
            if reached is state and not deaths:
                deaths.append(asyncio.create_task(die()))
                struck.set()

        move.a.on_reached = move.b.on_reached = at
        await move.expect()
        await move.depart()
        await bounded(struck.wait(), f"{state} is reached")
        await deaths[0]
        await bounded_end(move)


async def bounded_end(move: Move) -> None:
    row = await move.over()
    if row.state is Source.GONE:
        assert (move.truth.a_runs, move.truth.b_runs) == (False, True), move.truth.log
    else:
        assert row.state in (Source.BACK, Source.STAYED)
        assert (move.truth.a_runs, move.truth.b_runs) == (True, False), move.truth.log


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(30))
async def test_random_deaths(server: NatsServer, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    async with open_move(server.url, tmp_path, size=16 * MEBIBYTE) as move:
        move.truth.b_refuses = chance.random() < 0.3
        await move.expect()
        await move.depart()
        for _ in range(chance.randint(1, 6)):
            await asyncio.sleep(chance.random() * 0.5)
            await chance.choice([move.a.again, move.b.again])()
        await bounded_end(move)
