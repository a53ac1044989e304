"""A stream over the bus by nats-py alone, with the window and the chunks of our sessions.

    python -m tests.bench.raw_flow URL SUBJECT BYTES

sends BYTES on SUBJECT.down as soon as the reader says so on SUBJECT.up, and never more than a
window ahead of what the reader has told there since.
"""

from __future__ import annotations

import asyncio
import sys
from time import perf_counter

import nats
from nats.aio.msg import Msg
from tests.bench.helper import Helper

from wharfside_protocol.io_frames import BULK_WINDOW, CHUNK_BYTES

WORD_SECONDS = 60
SUBJECT = "bench.flow"


def rate(url: str, count: int) -> float:
    """Bytes a second that come to a reader which tells every half of a window."""
    with Helper("raw_flow", url, SUBJECT, str(count)):
        return asyncio.run(_read(url, count))


async def _read(url: str, count: int) -> float:
    client = await nats.connect(url)
    loop = asyncio.get_running_loop()
    over: asyncio.Future[float] = loop.create_future()
    taken = told = 0

    async def take(message: Msg) -> None:
        nonlocal taken, told
        taken += len(message.data)
        if taken - told >= BULK_WINDOW // 2 or taken == count:
            told = taken
            await client.publish(f"{SUBJECT}.up", str(taken).encode())
        if taken == count:
            over.set_result(perf_counter())

    await client.subscribe(f"{SUBJECT}.down", cb=take)
    await client.flush()
    before = perf_counter()
    await client.publish(f"{SUBJECT}.up", b"0")
    try:
        async with asyncio.timeout(WORD_SECONDS):
            return count / (await over - before)
    finally:
        await client.close()


async def send(url: str, subject: str, count: int) -> None:
    client = await nats.connect(url, pending_size=2 * BULK_WINDOW)
    chunk, taken = bytes(CHUNK_BYTES), -1
    more = asyncio.Event()

    async def told(message: Msg) -> None:
        nonlocal taken
        taken = int(message.data)
        more.set()

    async def stream() -> None:
        sent = 0
        while sent < count:
            while taken < 0 or sent - taken + CHUNK_BYTES > BULK_WINDOW:
                more.clear()
                await more.wait()
            await client.publish(f"{subject}.down", chunk[: count - sent])
            sent += min(CHUNK_BYTES, count - sent)

    await client.subscribe(f"{subject}.up", cb=told)
    await client.flush()
    streaming = asyncio.create_task(stream())
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    streaming.cancel()
    await asyncio.wait([streaming])
    await client.close()


def main(url: str, subject: str, count: str) -> None:
    asyncio.run(send(url, subject, int(count)))


if __name__ == "__main__":
    main(*sys.argv[1:])
