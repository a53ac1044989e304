"""I/O sessions over a real server, both ends real: what goes in comes out, and the end of it."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tests.integration.bounds import bounded
from tests.integration.session_kit import (
    EXIT,
    OVER,
    Pipe,
    PlayedNode,
    Script,
    output,
    piece,
    played_node,
    session,
)
from tests.support.nats_server import NatsServer
from tests.support.requirements import requires

from wharfside_agent.ports.io import Missing, NoReader
from wharfside_client import ServerSettings, Wharfside, connect
from wharfside_client.errors import SessionEnded
from wharfside_client.session import Session
from wharfside_protocol.errors import Busy, Denied, Invalid, RuntimeFailed, WrongState
from wharfside_protocol.io_frames import (
    BULK_WINDOW,
    DEFAULT_WINDOW,
    Chunk,
    Exit,
    Lost,
    Position,
    StreamName,
)

pytestmark = requires("nats-server")


@pytest.fixture
async def fleet(nats_server: NatsServer) -> AsyncIterator[Wharfside]:
    async with connect(nats_server.url) as fleet:
        yield fleet


@pytest.fixture
async def node(nats_server: NatsServer) -> AsyncIterator[PlayedNode]:
    async with played_node(nats_server.url) as node:
        yield node


async def test_output_comes_in_order_with_its_losses_and_its_exit(
    fleet: Wharfside, node: PlayedNode
) -> None:
    place = Position(run=1, offset=42)
    source = Script(piece(b"one", behind=3), Missing(39, place), piece(b"two"), OVER, None)
    node.carries("talk", source)
    async with session(fleet, "talk") as talk:
        first, lost, second, exit_ = [item async for item in talk]
        assert talk.position == place
        assert (talk.view.window, talk.view.tty) == (0, False)
    assert first == Chunk(stream=StreamName.STDOUT, data=b"one")
    assert isinstance(lost, Lost) and lost.count == 39
    assert isinstance(second, Chunk) and second.data == b"two"
    assert isinstance(exit_, Exit) and exit_.exit == EXIT and exit_.process == "init"
    await node.ended()
    assert source.closed.is_set()


async def test_a_reader_takes_its_acks_from_what_the_node_keeps(
    nats_server: NatsServer, fleet: Wharfside
) -> None:
    """A quarter of its own window would come too late for a node that keeps less."""
    async with played_node(nats_server.url, window=4096) as node:
        node.carries("talk", Script(piece(bytes(500)), None))
        async with session(fleet, "talk", window=BULK_WINDOW) as talk:
            assert talk.view.keeps == 4096 == talk._opened._into.window
            assert await output(talk) == bytes(500)
    async with played_node(nats_server.url, window=BULK_WINDOW) as node:
        node.carries("talk", Script(piece(bytes(500)), None))
        async with session(fleet, "talk", window=4096) as talk:
            assert talk.view.keeps == 4096 == talk._opened._into.window


async def test_where_many_are_open_the_next_have_less(
    nats_server: NatsServer, fleet: Wharfside
) -> None:
    async with played_node(nats_server.url, most=8, window=BULK_WINDOW) as node:
        node.carries("talk", Script())
        async with (
            session(fleet, "talk", window=BULK_WINDOW) as first,
            session(fleet, "talk", window=BULK_WINDOW) as second,
        ):
            assert (first.view.keeps, second.view.keeps) == (BULK_WINDOW, DEFAULT_WINDOW)
        await node.ended()
        async with session(fleet, "talk", window=BULK_WINDOW) as third:
            assert third.view.keeps == BULK_WINDOW


async def test_input_goes_in_and_its_end_is_only_its_own(
    fleet: Wharfside, node: PlayedNode
) -> None:
    pipe = Pipe()
    node.carries("cat", pipe, pipe)
    async with session(fleet, "cat") as cat:
        await cat.write(b"hello ")
        await cat.write(b"there")
        await cat.resize(24, 80)
        await cat.signal("INT")
        await cat.end()
        await cat.signal("TERM")
        assert await output(cat) == b"hello there"
    assert pipe.calls == [("resize", 24, 80), ("signal", "INT"), ("signal", "TERM")]


async def test_what_is_no_input_is_refused_here_already(fleet: Wharfside, node: PlayedNode) -> None:
    node.carries("talk", Script())
    async with session(fleet, "talk") as talk:
        with pytest.raises(WrongState, match="stdin"):
            await talk.write(b"x")
        with pytest.raises(WrongState, match="stdin"):
            await talk.end()


async def test_who_writes_to_what_is_over_is_told(fleet: Wharfside, node: PlayedNode) -> None:
    node.carries("short", Script(OVER, None), Pipe())
    async with session(fleet, "short") as short:
        assert [type(item) for item in [each async for each in short]] == [Exit]
        with pytest.raises(SessionEnded):
            await short.write(b"x")


async def test_leaving_ends_it_on_the_node(fleet: Wharfside, node: PlayedNode) -> None:
    source = Script(piece(b"first"))
    node.carries("talk", source)
    async with session(fleet, "talk") as talk:
        await anext(talk)
    await bounded(source.closed.wait(), "the source is closed")
    await node.ended()
    assert node.opened[0].over.result() is None


async def test_a_canceled_reader_leaves_too(fleet: Wharfside, node: PlayedNode) -> None:
    source, reading = Script(piece(b"first")), asyncio.Event()
    node.carries("talk", source)

    async def read() -> None:
        async with session(fleet, "talk") as talk:
            async for _ in talk:
                reading.set()

    task = asyncio.create_task(read())
    await bounded(reading.wait(), "the first output")
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    await bounded(source.closed.wait(), "the source is closed")


class Deaf(Pipe):
    """A process that has closed its stdin, and cannot be signaled any more."""

    async def write(self, data: bytes) -> None:
        raise NoReader

    async def signal(self, name: str) -> None:
        raise WrongState("it has just ended")


async def test_input_that_nobody_reads_takes_no_output_away(
    fleet: Wharfside, node: PlayedNode
) -> None:
    source, deaf = Script(), Deaf()
    node.carries("deaf", source, deaf)
    async with session(fleet, "deaf") as talk:
        await talk.write(bytes(3 * BULK_WINDOW))
        await talk.end()
        await talk.signal("TERM")
        await talk.drain()
        source.give(OVER)
        source.give(None)
        assert [type(item) for item in [each async for each in talk]] == [Exit]


class Stuck(Pipe):
    async def write(self, data: bytes) -> None:
        await asyncio.Event().wait()

    async def signal(self, name: str) -> None:
        self.closed.set()


async def test_a_signal_passes_input_that_is_stuck(fleet: Wharfside, node: PlayedNode) -> None:
    source, stuck = Script(), Stuck()
    node.carries("stuck", source, stuck)
    async with session(fleet, "stuck") as talk:
        writing = asyncio.create_task(talk.write(bytes(3 * BULK_WINDOW)))
        await talk.signal("INT")
        await bounded(stuck.closed.wait(), "the signal")
        assert not writing.done(), "no more is taken than a window"
        source.give(OVER)
        source.give(None)
        assert [type(item) for item in [each async for each in talk]] == [Exit]
        with pytest.raises(SessionEnded):
            await bounded(writing, "the writer is told")


async def test_leaving_waits_for_what_was_written(fleet: Wharfside, node: PlayedNode) -> None:
    pipe = Pipe(limit=BULK_WINDOW)
    node.carries("cat", Script(), pipe)
    async with session(fleet, "cat") as cat:
        await cat.write(bytes(BULK_WINDOW))
    assert len(pipe.kept) == BULK_WINDOW


async def test_leaving_tells_of_input_that_nobody_took_unless_it_was_left_at_once(
    fleet: Wharfside, node: PlayedNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wharfside_client.session.LEAVE_S", 0.2)
    node.carries("stuck", Script(), Stuck())
    with pytest.raises(SessionEnded, match="nobody took"):
        async with session(fleet, "stuck") as talk:
            await talk.write(b"x")
    async with session(fleet, "stuck") as talk:
        await talk.write(b"x")
        await talk.close()
    await node.ended()


class Broken(Script):
    async def read(self, most: int) -> None:
        raise RuntimeFailed("the log cannot be read")


async def test_why_a_source_ends_is_told_after_what_it_gave(
    fleet: Wharfside, node: PlayedNode
) -> None:
    source = Script(piece(b"first"))
    node.carries("talk", source)
    async with session(fleet, "talk") as talk:
        assert isinstance(first := await anext(talk), Chunk) and first.data == b"first"
        node.opened[0].end(RuntimeFailed("its disk is gone"))
        with pytest.raises(RuntimeFailed, match="its disk is gone"):
            await anext(talk)
    node.carries("broken", Broken())
    async with session(fleet, "broken") as broken:
        with pytest.raises(RuntimeFailed, match="cannot be read"):
            await anext(broken)


async def test_what_cannot_be_opened_leaves_nothing(fleet: Wharfside, node: PlayedNode) -> None:
    with pytest.raises(Invalid, match="nothing to carry"):
        async with session(fleet, "nothing"):
            pass

    async def fail() -> None:
        raise RuntimeFailed("no such terminal")

    node.carry["fails"] = fail  # type: ignore[assignment]
    with pytest.raises(RuntimeFailed, match="no such terminal"):
        async with session(fleet, "fails"):
            pass
    assert len(node.sessions) == 0


async def test_a_session_more_than_there_may_be_is_busy(nats_server: NatsServer) -> None:
    async with connect(nats_server.url) as fleet, played_node(nats_server.url, most=2) as node:
        for name in ("a", "b", "c"):
            node.carries(name, Script())
        async with session(fleet, "a"), session(fleet, "b"):
            with pytest.raises(Busy, match=r"limits\.sessions"):
                async with session(fleet, "c", timeout_s=1.5):
                    pass
        await node.ended()
        async with session(fleet, "c"):
            pass


async def test_a_server_that_takes_no_frames_so_large_ends_the_session(tmp_path: Path) -> None:
    with NatsServer(tmp_path, config="max_payload: 32KB") as server:
        async with connect(server.url) as fleet, played_node(server.url) as node:
            node.carries("down", Script(piece(bytes(60_000))))
            async with session(fleet, "down") as down:
                with pytest.raises(Invalid, match="max_payload"):
                    await bounded(anext(down), "its end")
            pipe = Pipe()
            node.carries("up", pipe, pipe)
            async with session(fleet, "up") as up:
                await up.write(bytes(60_000))
                with pytest.raises(Invalid, match="more than the server takes"):
                    await bounded(up.drain(), "its end")


async def test_one_peer_leaves_some_sessions_to_the_others(nats_server: NatsServer) -> None:
    async with (
        connect(nats_server.url) as fleet,
        connect(nats_server.url) as other,
        played_node(nats_server.url, most=4) as node,
    ):
        for name in ("a", "b", "c", "d"):
            node.carries(name, Script())
        async with session(fleet, "a"), session(fleet, "b"), session(fleet, "c"):
            with pytest.raises(Busy, match="other peers"):
                async with session(fleet, "d", timeout_s=1.5):
                    pass
            async with session(other, "d"):
                pass


async def poured(into: Session, data: bytes) -> None:
    await into.write(data)
    await into.end()


@pytest.mark.parametrize("mib", [8, pytest.param(100, marks=pytest.mark.soak)])
async def test_many_bytes_both_ways_at_once_are_the_same(
    fleet: Wharfside, node: PlayedNode, mib: int
) -> None:
    data = random.Random(mib).randbytes(mib * 1024 * 1024)
    pipe, back = Pipe(), hashlib.sha256()
    node.carries("cat", pipe, pipe)
    async with session(fleet, "cat") as cat:
        pouring = asyncio.create_task(poured(cat, data))
        async with asyncio.timeout(20 * mib):
            async for item in cat:
                assert isinstance(item, Chunk)
                back.update(item.data)
        await pouring
    assert back.digest() == hashlib.sha256(data).digest()


def users(**rights: str) -> str:
    """A server's users, each with its own rights."""
    all_ = "".join(
        f"{{user: {name}, password: x, permissions: {{ {right} }} }}"
        for name, right in rights.items()
    )
    return f"authorization {{ users = [ {{user: node, password: x}}, {all_} ] }}"


RPC = '"wharfside.v1.rpc.>"'
UP, DOWN = '"wharfside.v1.io.*.{0}.*.up"', '"wharfside.v1.io.*.{0}.*.down"'
INBOX = '"_INBOX.{0}.>"'


def as_user(server: NatsServer, name: str) -> ServerSettings:
    return ServerSettings(servers=(server.url,), user=name, password="x", peer=name)


async def test_a_peers_own_token_is_all_that_its_user_needs(
    start_nats_server: Callable[..., NatsServer],
) -> None:
    rights = f"publish: [{RPC}, {UP}], subscribe: [{INBOX}, {DOWN}]"
    server = start_nats_server(users(ops=rights.format("ops")))
    pipe = Pipe()
    async with played_node(server.url.replace("//", "//node:x@")) as node:
        node.carries("cat", pipe, pipe)
        async with connect(as_user(server, "ops")) as fleet, session(fleet, "cat") as cat:
            await poured(cat, b"hello")
            assert await bounded(output(cat), "all of it back") == b"hello"


@pytest.mark.parametrize(
    "rights",
    [
        f"publish: [{RPC}, {UP}], subscribe: [{INBOX}]",
        f"publish: [{RPC}], subscribe: [{INBOX}, {DOWN}]",
    ],
    ids=["down", "up"],
)
async def test_a_user_without_the_right_is_told_so(
    start_nats_server: Callable[..., NatsServer], rights: str
) -> None:
    server = start_nats_server(users(ops=rights.format("ops")))
    pipe = Pipe()
    async with played_node(server.url.replace("//", "//node:x@")) as node:
        node.carries("cat", pipe, pipe)
        async with connect(as_user(server, "ops")) as fleet:
            with pytest.raises(Denied, match=r"wharfside\.v1\.io\.n1\.ops"):
                async with session(fleet, "cat") as cat:
                    await cat.write(b"x")
                    await bounded(output(cat), "the refusal")
