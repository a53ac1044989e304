"""The client's own way to read from the server: every byte, in order, and bounded."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from urllib.parse import urlparse

import pytest
from tests.support.eventually import eventually

from wharfside_client.transport import KEPT_BYTES, BlockReader, BlockTransport

BOUND_S = 20.0


class Peer:
    """The other end of a transport."""

    def __init__(self, transport: BlockTransport, there: asyncio.StreamWriter) -> None:
        self.transport = transport
        self.there = there
        assert isinstance(transport._io_reader, BlockReader)
        self.reader = transport._io_reader

    @property
    def is_reading(self) -> bool:
        assert self.transport._io_writer is not None
        source = self.transport._io_writer.transport
        assert isinstance(source, asyncio.ReadTransport)
        return source.is_reading()

    async def rest(self) -> bytes:
        """All that comes until the end."""
        blocks = list[bytes]()
        while block := await self.reader.read(1):
            blocks.append(block)
        return b"".join(blocks)

    def reset(self) -> None:
        """An RST instead of a FIN."""
        linger = struct.pack("ii", 1, 0)
        sock = self.there.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.there.transport.abort()


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    came: asyncio.Future[asyncio.StreamWriter] = asyncio.get_running_loop().create_future()
    server = await asyncio.start_server(lambda _, writer: came.set_result(writer), "127.0.0.1")
    host, port = server.sockets[0].getsockname()
    transport = BlockTransport()
    async with asyncio.timeout(BOUND_S):
        await transport.connect(urlparse(f"nats://{host}:{port}"), 1, 5)
        there = await came
        yield Peer(transport, there)
        transport.close()
        there.close()
        server.close()
        await server.wait_closed()


async def test_lines_then_blocks_larger_than_asked_for(peer: Peer) -> None:
    data = bytes(range(256)) * 4096
    peer.there.write(b"INFO {}\r\nPO")
    assert await peer.reader.readline() == b"INFO {}\r\n"
    peer.there.write(b"NG\r\nMSG" + data)
    assert await peer.reader.readline() == b"PONG\r\n"
    peer.there.close()
    assert await peer.rest() == b"MSG" + data
    assert peer.reader.at_eof()


async def test_a_line_without_its_end_is_given_as_far_as_it_came(peer: Peer) -> None:
    peer.there.write(b"INF")
    peer.there.close()
    assert await peer.reader.readline() == b"INF"


async def test_what_nobody_reads_is_left_to_the_sender_and_comes_later(peer: Peer) -> None:
    data = bytes(32 * KEPT_BYTES)
    peer.there.write(data)
    await eventually(lambda: not peer.is_reading, "the socket is left alone", within_s=BOUND_S)
    reading = asyncio.create_task(peer.rest())
    await peer.there.drain()
    peer.there.close()
    assert await reading == data


async def test_a_connection_that_is_reset_is_told(peer: Peer) -> None:
    reading = asyncio.create_task(peer.reader.read(1))
    await asyncio.sleep(0)
    peer.reset()
    with pytest.raises(ConnectionResetError):
        await reading
    assert not peer.reader.at_eof()
