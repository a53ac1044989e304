"""Input over an attach socket whose conmon takes nothing for a while."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from wharfside_agent.runtime.attach import PACKET_BYTES, AttachSocket

MUCH = bytes(64 * PACKET_BYTES)
"""More than a socket holds."""


@pytest.fixture
def conmon(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind(str(tmp_path / "attach"))
        listening.listen()
        listening.setblocking(False)
        yield listening


async def received(taking: socket.socket, count: int) -> bytes:
    got = b""
    while len(got) < count:
        got += await asyncio.get_running_loop().sock_recv(taking, PACKET_BYTES)
    return got


@pytest.mark.parametrize("first_leaves", [False, True])
async def test_who_sends_beside_another_comes_behind_it(
    tmp_path: Path, conmon: socket.socket, first_leaves: bool
) -> None:
    client = AttachSocket(tmp_path, None, lambda: None)
    taking, _ = conmon.accept()
    taking.setblocking(False)
    first = asyncio.ensure_future(client.send(MUCH))
    second = asyncio.ensure_future(client.send(b"second"))
    await asyncio.sleep(0)
    assert not first.done() and not second.done()
    if first_leaves:
        first.cancel()
        await asyncio.wait({first})
    whole = b""
    async with asyncio.timeout(20):
        while not whole.endswith(b"second"):
            whole += await received(taking, 1)
        await second
    assert len(whole) % PACKET_BYTES == len(b"second")
    assert first_leaves or len(whole) == len(MUCH) + len(b"second")
    client.close()
    taking.close()
