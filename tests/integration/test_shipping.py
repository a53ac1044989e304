"""Output shipped into the stream: every byte once, over the agent's death; what is lost is told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial

import nats
import pytest
from nats.js.api import ConsumerConfig, DeliverPolicy
from tests.integration.bounds import BOUND_S, bounded
from tests.integration.fifos import Cues, shell
from tests.integration.test_logs import logs
from tests.integration.world import Site, World, bootstrap, open_site, restart
from tests.support.agent import AgentProcess
from tests.support.eventually import eventually

from wharfside_protocol.codec import decode
from wharfside_protocol.io_frames import StreamName
from wharfside_protocol.shipped import ShippedOutput
from wharfside_protocol.specs import Io, ProcessSpec
from wharfside_protocol.subjects import Subjects

SMALL = "\n[logs]\nmax_bytes = 65536\nmax_files = 2\n"
SHIPS = Io(ship=True)


@pytest.fixture(scope="module")
def agent(world: World) -> Iterator[AgentProcess]:
    """With logs that are rotated soon."""
    with world.running("n1", SMALL) as agent:
        yield agent


@pytest.fixture
async def killable(world: World, own_agent: AgentProcess) -> AsyncIterator[Site]:
    own_agent.start(until="bus-connected")
    async with open_site(world, own_agent) as site:
        yield site
        await site.clear()
    assert own_agent.stop() == 0


class Shipped:
    """What the stream has of one process."""

    def __init__(self) -> None:
        self.pieces: list[ShippedOutput] = []

    @property
    def lost(self) -> int:
        return sum(piece.lost for piece in self.pieces)

    def text(self, stream: StreamName = StreamName.STDOUT) -> bytes:
        chunks = [chunk for piece in self.pieces for chunk in piece.chunks]
        return b"".join(chunk.data for chunk in chunks if chunk.stream is stream)

    def is_gapless(self) -> bool:
        at = {piece.run: 0 for piece in self.pieces}
        for piece in self.pieces:
            if piece.offset != at[piece.run]:
                return False
            at[piece.run] = piece.end
        return True


@asynccontextmanager
async def shipped(site: Site, container: str, process: str = "init") -> AsyncIterator[Shipped]:
    """Filled as it comes, from the stream's first message on."""
    client = await nats.connect(site.world.server.url)
    got = Shipped()

    async def take(message: nats.aio.msg.Msg) -> None:
        got.pieces.append(decode(message.data, ShippedOutput))

    subject = Subjects().log(site.agent.name, container, process)
    config = ConsumerConfig(deliver_policy=DeliverPolicy.ALL)
    await client.jetstream(timeout=BOUND_S).subscribe(
        subject, cb=take, ordered_consumer=True, config=config
    )
    try:
        yield got
    finally:
        await client.close()


def numbers(last: int) -> bytes:
    return b"".join(b"%d\n" % number for number in range(1, last + 1))


async def test_both_streams_with_their_times_and_places(site: Site) -> None:
    name = await site.run(shell("echo out; echo err >&2; exit 1"), io=SHIPS)
    async with shipped(site, name) as got:
        await eventually(lambda: got.text(StreamName.STDERR) == b"err\n", "it is shipped")
        assert got.text() == b"out\n" and got.is_gapless()
        assert all(chunk.time for piece in got.pieces for chunk in piece.chunks)
        view = await site.node.inspect(name)
        assert {piece.incarnation for piece in got.pieces} == {view.incarnation}


async def test_what_is_removed_at_its_end_is_shipped_first(site: Site) -> None:
    name = await site.run(shell("seq 3000"), io=SHIPS, auto_remove=True)
    await site.told.event(name, "deleted")
    async with shipped(site, name) as got:
        await eventually(lambda: got.text() == numbers(3000), "it is shipped")
        assert got.lost == 0
    assert "log-lost" not in site.told.types(name)


async def test_an_exec_is_shipped_where_it_asks_for_it_and_nothing_else_is(site: Site) -> None:
    name = await site.run(shell("echo of init; sleep 1000"))
    script = ProcessSpec(args=list(shell("echo of the exec")))
    await site.node.call(
        "exec",
        {"container": name, "process": {"args": script.args}, "io": {"ship": True}, "exec": "e1"},
    )
    async with shipped(site, name, "e1") as exec_, shipped(site, name) as init:
        await eventually(lambda: exec_.text() == b"of the exec\n", "it is shipped")
        assert init.pieces == []


async def test_the_agents_death_costs_nothing_and_doubles_nothing(killable: Site) -> None:
    cues = killable.cues()
    script = "for half in 1 2; do seq 20000; read n </cue/go; done; echo end"
    name = await killable.run(shell(script), io=SHIPS, mounts=[cues.mount])
    async with shipped(killable, name) as got:
        await eventually(lambda: got.pieces, "it is being shipped")
        await restart(killable.agent)
        cues.go()
        await restart(killable.agent)
        cues.go()
        await eventually(lambda: got.text().endswith(b"end\n"), "it is shipped", within_s=20)
        assert got.text() == numbers(20000) * 2 + b"end\n"
        assert got.is_gapless() and got.lost == 0


async def test_runs_are_shipped_one_after_the_other(site: Site) -> None:
    name = await site.run(shell("echo a run"), io=SHIPS)
    await site.told.exit(name)
    await site.node.start(name)
    await site.told.exit(name, nth=2)
    async with shipped(site, name) as got:
        await eventually(lambda: got.text() == b"a run\n" * 2, "both are shipped")
        assert [piece.run for piece in got.pieces] == [1, 2] and got.is_gapless()


async def test_what_rotation_takes_before_the_stream_is_there_is_told(site: Site) -> None:
    client = await nats.connect(site.world.server.url)
    try:
        await client.jetstream(timeout=BOUND_S).delete_stream("WHARFSIDE_LOGS")
        cues = site.cues()
        prints = shell("while read n </cue/go; do seq $n; echo done >/cue/ready; done")
        name = await site.run(prints, io=SHIPS, mounts=[cues.mount])
        await _print_until_lost(site, name, cues)
        await bootstrap(site.world.server.url)
        lost = await site.told.event(name, "log-lost")
        async with shipped(site, name) as got:
            await eventually(partial(_told, got, lost.data["count"]), "the stream has the marker")
            assert (lost.data["run"], lost.process) == (1, "init")
            await eventually(lambda: got.text().endswith(b"1999\n2000\n"), "and the rest")
            assert got.is_gapless()
    finally:
        await client.close()


def _told(got: Shipped, count: int) -> bool:
    return count in [piece.lost for piece in got.pieces]


async def _print_until_lost(site: Site, name: str, cues: Cues) -> None:
    """Two files that went, one after the other: who ships holds the first one open, however
    large it became before it was rotated."""
    lost = {0}
    for _round in range(50):
        cues.go("2000")
        await cues.ready()
        lost.add((await logs(site, name)).lost)
        if len(lost) > 2:
            return
    raise AssertionError("nothing was rotated away")


async def test_a_delete_without_a_stream_tells_what_it_takes_along(site: Site) -> None:
    client = await nats.connect(site.world.server.url)
    try:
        await client.jetstream(timeout=BOUND_S).delete_stream("WHARFSIDE_LOGS")
        name = await site.run(shell("echo nobody hears this"), io=SHIPS)
        await site.told.exit(name)
        await bounded(site.node.delete(name), "a delete that waits for no stream for long")
        lost = await site.told.event(name, "log-lost")
        assert lost.data["offset"] == 0 and lost.data["count"] > 0
        await site.told.event(name, "deleted")
    finally:
        await client.close()
        await bootstrap(site.world.server.url)
