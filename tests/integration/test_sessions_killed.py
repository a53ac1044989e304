"""I/O sessions of a node that is a process of its own: killed, and stopped, in mid-stream."""

from __future__ import annotations

import asyncio
import hashlib
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.integration.bounds import bounded
from tests.integration.session_kit import arguments, session
from tests.integration.session_node import BLOCK, SIZE
from tests.support.nats_server import NatsServer
from tests.support.requirements import requires

from wharfside_client import Request, Session, connect
from wharfside_protocol.io_frames import Chunk, Position

pytestmark = requires("nats-server")

TOP = Path(__file__).parents[2]
WHOLE = hashlib.sha256(BLOCK * (SIZE // len(BLOCK))).digest()


@asynccontextmanager
async def node_process(server: NatsServer) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.session_node", server.url,
        cwd=TOP, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        while (line := await bounded(process.stdout.readline(), "the node is ready")) != b"ready\n":
            assert line, "it ended"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def behind(position: Position | None) -> Request:
    assert position is not None
    return Request("exec", arguments(f"from-{position.offset}"))


class Reader:
    """Reads a session to its end; `past` is awaited for a place in it."""

    def __init__(self, remote: Session) -> None:
        self._remote = remote
        self._hash = hashlib.sha256()
        self._read = 0
        self._came = asyncio.Condition()

    async def whole(self) -> bytes:
        async for item in self._remote:
            assert isinstance(item, Chunk)
            self._hash.update(item.data)
            async with self._came:
                self._read += len(item.data)
                self._came.notify_all()
        return self._hash.digest()

    async def past(self, place: int) -> None:
        async with self._came:
            await bounded(self._came.wait_for(lambda: self._read >= place), f"byte {place}")


async def test_a_node_that_is_killed_twice_gives_all_of_it_once(
    nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wharfside_client.wire.PING_S", 0.3)
    async with (
        connect(nats_server.url) as fleet,
        node_process(nats_server) as first,
        session(fleet, "from-0", resume=behind) as remote,
    ):
        reader = Reader(remote)
        reading = asyncio.create_task(reader.whole())
        await reader.past(SIZE // 3)
        first.kill()
        async with node_process(nats_server) as second:
            await reader.past(SIZE // 2)
            second.kill()
        async with node_process(nats_server):
            assert await bounded(reading, "all of it") == WHOLE


async def test_a_node_that_was_stopped_goes_on_where_it_was(nats_server: NatsServer) -> None:
    async with (
        connect(nats_server.url) as fleet,
        node_process(nats_server) as process,
        session(fleet, "from-0") as remote,
    ):
        reader = Reader(remote)
        reading = asyncio.create_task(reader.whole())
        await reader.past(SIZE // 3)
        process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(0.5)  # nothing tells that nothing comes
        process.send_signal(signal.SIGCONT)
        assert await bounded(reading, "all of it") == WHOLE
