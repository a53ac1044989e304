"""conmon's attach socket, played by the test: what comes is taken in order, stream by stream."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from wharfside_agent.runtime.attach import PACKETS_AT_ONCE, PACKETS_JOINED, AttachSocket
from wharfside_protocol.io_frames import StreamName

OUT, ERR = StreamName.STDOUT, StreamName.STDERR
MARKS = {OUT: b"\x02", ERR: b"\x03"}


@pytest.fixture
def conmon(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind(str(tmp_path / "attach"))
        listening.listen()
        yield listening


async def taken(
    conmon: socket.socket, folder: Path, packets: list[bytes]
) -> list[tuple[str, bytes]]:
    """All that is taken of `packets`, to conmon's end."""
    found, gone = list[tuple[str, bytes]](), asyncio.Event()
    AttachSocket(folder, lambda stream, data: found.append((stream, data)), gone.set)
    served, _ = conmon.accept()
    served.setblocking(False)
    with served:
        for packet in packets:
            await asyncio.get_running_loop().sock_sendall(served, packet)
    await gone.wait()
    return found


def joined(found: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    whole = list[tuple[str, bytes]]()
    for stream, data in found:
        if whole and whole[-1][0] == stream:
            data = whole.pop()[1] + data
        whole.append((stream, data))
    return whole


async def test_packets_come_whole_and_in_order(conmon: socket.socket, tmp_path: Path) -> None:
    order = [OUT, OUT, ERR, OUT, *[ERR] * 3 * PACKETS_AT_ONCE, OUT]
    sent = [(stream, bytes([n % 256]) * (8192 - n)) for n, stream in enumerate(order)]
    found = await taken(conmon, tmp_path, [MARKS[stream] + data for stream, data in sent])
    assert joined(found) == joined([(str(stream), data) for stream, data in sent])
    assert max(len(data) for _, data in found) <= PACKETS_JOINED * 8192


async def test_what_names_no_stream_or_holds_nothing_is_dropped(
    conmon: socket.socket, tmp_path: Path
) -> None:
    packets = [b"\x02one", b"\x09foreign", b"\x02", b"\x03two"]
    assert joined(await taken(conmon, tmp_path, packets)) == [(OUT, b"one"), (ERR, b"two")]
