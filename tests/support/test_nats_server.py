"""The server for tests: its port and its store outlive a stop, a crash and a pause."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client
from tests.support.nats_server import NatsServer, NatsServerFailed
from tests.support.requirements import requires

pytestmark = requires("nats-server")


@asynccontextmanager
async def connected(server: NatsServer) -> AsyncIterator[Client]:
    client = await nats.connect(server.url, connect_timeout=20, max_reconnect_attempts=1)
    try:
        yield client
    finally:
        await client.close()


async def test_it_takes_large_messages_and_keeps_streams_on_disk(nats_server: NatsServer) -> None:
    async with connected(nats_server) as client:
        assert client.max_payload == 8 * 1024 * 1024
        await client.jetstream(timeout=20).add_stream(name="S", subjects=["s"])
        ack = await client.jetstream(timeout=20).publish("s", b"x" * 5_000_000)
        assert ack.seq == 1


@pytest.mark.parametrize("end", [NatsServer.stop, NatsServer.kill])
async def test_port_and_store_outlive_the_process(nats_server: NatsServer, end: object) -> None:
    port, pid = nats_server.port, nats_server.pid
    async with connected(nats_server) as client:
        await client.jetstream(timeout=20).add_stream(name="S", subjects=["s"])
        await client.jetstream(timeout=20).publish("s", b"kept")
    assert callable(end)
    end(nats_server)
    nats_server.start()
    assert (nats_server.port, nats_server.pid == pid) == (port, False)
    async with connected(nats_server) as client:
        assert (await client.jetstream(timeout=20).get_msg("S", 1)).data == b"kept"


async def test_a_paused_server_answers_nothing_until_resumed(nats_server: NatsServer) -> None:
    async with connected(nats_server) as client:
        nats_server.pause()
        with pytest.raises(TimeoutError):
            await client.flush(timeout=1)
        nats_server.resume()
    async with connected(nats_server) as client:
        await client.flush(timeout=20)


def test_a_paused_server_can_be_stopped(nats_server: NatsServer) -> None:
    nats_server.pause()
    nats_server.stop()


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    server = NatsServer(tmp_path, config="no_such_option: 1")
    with pytest.raises(NatsServerFailed, match="no_such_option"):
        server.start()
    assert "no_such_option" in server.log
