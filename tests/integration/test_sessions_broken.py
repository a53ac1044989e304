"""I/O sessions over what breaks: the server, the agent, the peer, and a peer that means harm."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import nats
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from tests.integration.bounds import bounded
from tests.integration.session_kit import (
    Endless,
    Pipe,
    PlayedNode,
    Script,
    arguments,
    output,
    piece,
    played_node,
    session,
)
from tests.support.eventually import eventually
from tests.support.nats_server import NatsServer
from tests.support.requirements import requires

from wharfside_agent.ports.io import Carried
from wharfside_client import Wharfside, connect
from wharfside_client.errors import SessionLost
from wharfside_client.session import Request
from wharfside_protocol.codec import encode
from wharfside_protocol.errors import Busy, Conflict, ErrorCode, NotFound
from wharfside_protocol.io_commands import Opening
from wharfside_protocol.io_flow import MAX_FRAMES
from wharfside_protocol.io_frames import (
    COST,
    MAX_WIRE_BYTES,
    Ack,
    Again,
    Chunk,
    Close,
    Data,
    DownFrame,
    Eof,
    Frame,
    Lost,
    Ping,
    Position,
    Reset,
    Resize,
    StreamName,
)
from wharfside_protocol.io_reading import down_frame

pytestmark = requires("nats-server")

WINDOW = 64 * 1024


@pytest.fixture
async def fleet(nats_server: NatsServer) -> AsyncIterator[Wharfside]:
    async with connect(nats_server.url) as fleet:
        yield fleet


@pytest.fixture
async def node(nats_server: NatsServer) -> AsyncIterator[PlayedNode]:
    async with played_node(nats_server.url) as node:
        yield node


async def test_a_server_that_dies_in_mid_stream_loses_nothing(
    nats_server: NatsServer, fleet: Wharfside, node: PlayedNode
) -> None:
    data = random.Random(3).randbytes(3 * 1024 * 1024)
    pipe = Pipe()
    node.carries("cat", pipe, pipe)
    async with session(fleet, "cat") as cat:
        killed = 0

        async def pour() -> None:
            nonlocal killed
            for start in range(0, len(data), 1024 * 1024):
                await cat.write(data[start : start + 1024 * 1024])
                await asyncio.to_thread(nats_server.kill)
                await asyncio.to_thread(nats_server.start)
                killed += 1
            await cat.end()

        pouring = asyncio.create_task(pour())
        back = await bounded(output(cat), "all of it back", 60.0)
        await pouring
    assert killed == 3
    assert hashlib.sha256(back).digest() == hashlib.sha256(data).digest()


async def test_output_goes_on_behind_its_last_in_the_agents_next_life(
    nats_server: NatsServer, fleet: Wharfside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wharfside_client.wire.PING_S", 0.3)

    def behind(position: Position | None) -> Request:
        assert position is not None
        return Request("exec", arguments(f"from-{position.offset}"))

    async with played_node(nats_server.url) as first:
        first.carries("log", Script(piece(b"one ", behind=4), piece(b"two ", behind=8)))
        log = session(fleet, "log", resume=behind)
        await log.__aenter__()
        assert [await anext(log), await anext(log)]
    async with played_node(nats_server.url) as second:
        second.carries("from-8", Script(piece(b"three"), None))
        assert await bounded(output(log), "the rest of it") == b"three"
        assert second.asked == ["from-8"]
        await log.__aexit__(None, None, None)


async def test_who_writes_learns_how_much_was_taken_when_the_agent_dies(
    nats_server: NatsServer, fleet: Wharfside
) -> None:
    async with played_node(nats_server.url) as first:
        pipe = Pipe(limit=10)
        first.carries("cat", Script(), pipe)
        cat = session(fleet, "cat", resume=True)
        await cat.__aenter__()
        await cat.write(b"0123456789")
        await cat.drain()
        await cat.write(b"more than it takes")
    async with played_node(nats_server.url):
        with pytest.raises(SessionLost) as caught:
            await bounded(anext(cat), "the loss is noticed")
        assert caught.value.details["taken"] == 10
        with pytest.raises(SessionLost):
            await cat.write(b"x")
        await cat.__aexit__(None, None, None)


async def test_an_agent_that_goes_down_says_so(fleet: Wharfside, node: PlayedNode) -> None:
    source = Script()
    node.carries("log", source)
    async with session(fleet, "log") as log:
        await node.sessions.close(5.0)
        assert source.closed.is_set()
        with pytest.raises(SessionLost, match="goes down"):
            await bounded(anext(log), "the end")
        with pytest.raises(Busy, match="its next life"):
            await node.sessions.open(Opening(peer="me", session="s-1"), "command-1", nothing)


async def test_a_slow_reader_holds_the_source_and_not_the_node(
    fleet: Wharfside, node: PlayedNode
) -> None:
    endless = Endless()
    node.carries("yes", endless)
    node.carries("talk", Script(piece(b"hello"), None))
    async with session(fleet, "yes", window=WINDOW) as slow:
        await anext(slow)
        async with session(fleet, "talk") as talk:
            assert await bounded(output(talk), "another session meanwhile") == b"hello"
        taken = 0
        while taken < 4 * WINDOW:
            item = await anext(slow)
            assert isinstance(item, Chunk)
            taken += len(item.data)
            assert endless.given <= taken + 2 * WINDOW
    await bounded(endless.closed.wait(), "the source is closed")


async def test_a_peer_that_is_gone_frees_its_place(nats_server: NatsServer) -> None:
    source, sink = Script(), Pipe()
    async with played_node(nats_server.url, idle_s=1.0) as node:
        node.carries("attach", source, sink)
        async with peer_of(nats_server, node, "attach") as peer:
            await bounded(source.closed.wait(), "the source is closed")
            await bounded(sink.closed.wait(), "the sink is closed")
            await node.ended()
            assert "nothing heard" in (await peer.reset()).error.message


async def test_an_agent_that_is_gone_is_noticed(nats_server: NatsServer, fleet: Wharfside) -> None:
    async with played_node(nats_server.url, idle_s=1.0) as node:
        node.carries("log", Script(piece(b"x")))
        log = session(fleet, "log")
        await log.__aenter__()
        await anext(log)
    with pytest.raises(SessionLost, match="not heard"):
        await bounded(anext(log), "the loss")
    await log.__aexit__(None, None, None)


async def test_a_peer_that_is_there_keeps_its_session(nats_server: NatsServer) -> None:
    async with played_node(nats_server.url, idle_s=6.0) as node, connect(nats_server.url) as fleet:
        source = Script()
        node.carries("log", source)
        async with session(fleet, "log") as log:
            loop = asyncio.get_running_loop()
            loop.call_later(8, source.give, piece(b"late"))
            item = await bounded(anext(log), "output after a long silence")
            assert isinstance(item, Chunk) and item.data == b"late"


class Peer:
    """Sends any bytes up, keeps what comes down."""

    def __init__(self, client: Client, node: PlayedNode, name: str, session: str) -> None:
        self.came: asyncio.Queue[DownFrame] = asyncio.Queue()
        self._client = client
        self._up = node.subjects.io_up("n1", name, session)

    async def receive(self, message: Msg) -> None:
        self.came.put_nowait(down_frame(message.data))

    async def send(self, *frames: Frame | bytes) -> None:
        for frame in frames:
            data = frame if isinstance(frame, bytes) else encode(frame)
            await self._client.publish(self._up, data)

    async def until(self, kind: type[Frame]) -> Frame:
        while not isinstance(frame := await bounded(self.came.get(), kind.__name__), kind):
            pass
        return frame

    async def reset(self) -> Reset:
        frame = await self.until(Reset)
        assert isinstance(frame, Reset)
        return frame


@asynccontextmanager
async def peer_of(
    server: NatsServer, node: PlayedNode, carry: str, *, name: str = "mallory", session: str = "s-1"
) -> AsyncIterator[Peer]:
    """A session that is opened by hand; it listens first, as the client does."""
    client = await nats.connect(server.url)
    peer = Peer(client, node, name, session)
    await client.subscribe(node.subjects.io_down("n1", name, session), cb=peer.receive)
    await client.flush()
    opening = Opening(peer=name, session=session, window=WINDOW)
    await node.sessions.open(opening, f"command-{session}", lambda: made(node, carry))
    try:
        yield peer
    finally:
        await client.close()


async def nothing() -> Carried:
    raise AssertionError("nothing is made for a session that is refused")


async def made(node: PlayedNode, carry: str) -> Carried:
    carried = node.carry[carry]()
    assert isinstance(carried, Carried)
    return carried


def stdin(at: int, data: bytes = b"x", stream: StreamName = StreamName.STDIN) -> Data:
    return Data(at=at, chunks=[Chunk(stream=stream, data=data)])


HOSTILE: dict[str, list[Frame | bytes]] = {
    "no msgpack": [b"\xc1"],
    "no map": [b"\x93\x01\x02\x03"],
    "too large": [bytes(MAX_WIRE_BYTES + 1)],
    "no such frame": [b"\x81\xa5frame\xa4evil"],
    "a frame that goes down": [encode(Lost(at=0, count=1))],
    "negative place": [encode(stdin(0)).replace(b"\xa2at\x00", b"\xa2at\xff")],
    "beyond the window": [stdin(at * (100_000 + COST), bytes(100_000)) for at in range(4)],
    "ack of the unsent": [Ack(at=2**53 - 1, window=0)],
    "again of the unsent": [Again(at=2**53 - 1)],
    "data after the end": [Eof(at=0), stdin(COST)],
    "the stream of output": [stdin(0, stream=StreamName.STDOUT)],
    "frames without number": [
        Resize(at=number * COST, rows=1, columns=1) for number in range(MAX_FRAMES + 2)
    ],
}


class Stuck(Pipe):
    """A sink that takes nothing."""

    async def write(self, data: bytes) -> None:
        await asyncio.Event().wait()

    async def resize(self, rows: int, columns: int) -> None:
        await asyncio.Event().wait()


@pytest.mark.parametrize("sent", HOSTILE.values(), ids=HOSTILE)
async def test_a_wrong_frame_ends_its_session_alone(
    nats_server: NatsServer, fleet: Wharfside, node: PlayedNode, sent: list[Frame | bytes]
) -> None:
    stuck = Stuck()
    node.carries("stuck", stuck, stuck)
    pipe = Pipe()
    node.carries("cat", pipe, pipe)
    async with session(fleet, "cat") as cat, peer_of(nats_server, node, "stuck") as peer:
        await peer.send(*sent)
        assert (await peer.reset()).error.code is ErrorCode.INVALID
        await bounded(stuck.closed.wait(), "the sink is closed")
        await cat.write(b"still here")
        await cat.end()
        assert await bounded(output(cat), "the other session goes on") == b"still here"


async def test_the_reason_is_told_again_to_who_missed_it(
    nats_server: NatsServer, node: PlayedNode
) -> None:
    node.carries("log", Script())
    async with peer_of(nats_server, node, "log") as peer:
        await peer.send(stdin(0))
        first = await peer.reset()
        await node.ended()
        await peer.send(Ping(at=0))
        assert (await peer.reset()) == first
        assert "only gives output" in first.error.message


async def test_a_session_that_is_not_here_is_told_so_but_nothing_answers_for_ever(
    nats_server: NatsServer, node: PlayedNode
) -> None:
    node.carries("log", Script())
    async with peer_of(nats_server, node, "log") as peer:
        await peer.send(Close())
        await node.ended()
        gone = NotFound("x").to_body()
        await peer.send(Ack(at=0, window=0), Again(at=0), Close(), Reset(error=gone))
        await peer.send(Ping(at=0), b"no frame")
        first, second = (await peer.reset()).error, (await peer.reset()).error
        assert (first.code, first.details) == (ErrorCode.NOT_FOUND, {"session": "gone"})
        assert second.code is ErrorCode.INVALID


async def test_another_peer_cannot_feed_a_session(
    nats_server: NatsServer, fleet: Wharfside, node: PlayedNode
) -> None:
    pipe = Pipe()
    node.carries("cat", pipe, pipe)
    async with session(fleet, "cat") as cat:
        name = cat.view.session
        client = await nats.connect(nats_server.url)
        await client.publish(node.subjects.io_up("n1", "mallory", name), encode(stdin(0, b"evil")))
        await client.publish(node.subjects.io_up("n1", "mallory", name), encode(Close()))
        await client.close()
        await cat.write(b"mine")
        await cat.end()
        assert await bounded(output(cat), "what its own peer wrote") == b"mine"


async def test_a_peer_that_never_acks_gets_a_window_and_no_more(
    nats_server: NatsServer, node: PlayedNode
) -> None:
    endless = Endless()
    node.carries("yes", endless)
    async with peer_of(nats_server, node, "yes") as peer:
        sent = await peer.until(Ping)
        for _ in range(3):
            await peer.send(Again(at=0), Ping(at=0))
            await peer.until(Ack)
        assert endless.given <= WINDOW
        assert isinstance(sent, Ping)
        await peer.send(Ack(at=sent.at, window=2**53 - 1))
        # by a Ping alone it could not be told: one of before may still be on its way
        await eventually(lambda: endless.given > WINDOW, "it goes on")
        await peer.until(Ping)
        assert endless.given <= 2 * WINDOW
        await peer.send(Close())


async def test_a_repeat_of_the_opening_gets_the_same_session(node: PlayedNode) -> None:
    node.carries("log", Script())
    opening = Opening(peer="me", session="s-1")
    first = await node.sessions.open(opening, "command-1", lambda: made(node, "log"))
    assert await node.sessions.open(opening, "command-1", lambda: made(node, "log")) is first
    with pytest.raises(Conflict, match="a name of its own"):
        await node.sessions.open(opening, "command-2", lambda: made(node, "log"))
    first.end(None)
    await node.ended()
