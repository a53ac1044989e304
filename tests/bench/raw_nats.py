"""The floors on the bus: nats-py alone, without Wharfside.

    python -m tests.bench.raw_nats echo URL SUBJECT
    python -m tests.bench.raw_nats publish URL COUNT

`echo` answers requests until stdin is closed. `publish` sends COUNT messages with the size
and the stream settings of events, pipelined, and says `ready` and then how many a second
were acknowledged.
"""

from __future__ import annotations

import asyncio
import sys
from time import perf_counter
from types import TracebackType
from typing import Self

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import StreamConfig
from tests.bench import rpc_load

from wharfside_protocol.assets import EVT, streams
from wharfside_protocol.subjects import Subjects

PREFIX = "bench.floor"
REQUEST_SECONDS = 10
PIPELINE = 64
CONTAINERS = 500
EVENT_BYTES = 400


class RawCaller:
    """Requests to the echo, from the bench's own process."""

    def __init__(self, url: str, subject: str) -> None:
        self._url = url
        self._subject = subject

    def __enter__(self) -> Self:
        self._runner = asyncio.Runner()
        self._client: Client = self._runner.run(nats.connect(self._url))
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._runner.run(self._client.close())
        self._runner.close()

    async def _call(self) -> Msg:
        return await self._client.request(self._subject, b"ping", timeout=REQUEST_SECONDS)

    def noop_latencies(self, count: int) -> list[float]:
        return self._runner.run(rpc_load.latencies(self._call, count))

    def noop_rate(self, count: int, callers: int) -> float:
        return self._runner.run(rpc_load.throughput(self._call, count, callers))


async def echo(url: str, subject: str) -> None:
    async def answer(message: Msg) -> None:
        await message.respond(message.data)

    client = await nats.connect(url)
    await client.subscribe(subject, cb=answer)
    await client.flush()
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await client.close()


async def publish(url: str, count: int) -> None:
    client = await nats.connect(url)
    jetstream = client.jetstream()
    await _make_stream(jetstream)
    print("ready", flush=True)
    before = perf_counter()
    await _pipelined(jetstream, count)
    print(count / (perf_counter() - before), flush=True)
    await jetstream.delete_stream("BENCH_FLOOR")
    await client.close()


async def _make_stream(jetstream: JetStreamContext) -> None:
    """The settings of the events' stream, under a name and subjects of the floor's own."""
    subjects = Subjects(PREFIX)
    config = next(config for config in streams(subjects) if config["name"] == EVT)
    wire = StreamConfig.from_response(config | {"name": "BENCH_FLOOR", "deny_delete": False})
    # from_response reads nanoseconds; nothing else differs from what bootstrap creates.
    await jetstream.add_stream(wire)


async def _pipelined(jetstream: JetStreamContext, count: int) -> None:
    slots = asyncio.Semaphore(PIPELINE)
    payload = bytes(EVENT_BYTES)

    async def one(number: int) -> None:
        subject = f"{PREFIX}.evt.n1.c{number % CONTAINERS}.exited"
        try:
            await jetstream.publish(subject, payload, headers={"Nats-Msg-Id": str(number)})
        finally:
            slots.release()

    async with asyncio.TaskGroup() as group:
        for number in range(count):
            await slots.acquire()
            group.create_task(one(number))


def main(what: str, url: str, last: str) -> None:
    asyncio.run(echo(url, last) if what == "echo" else publish(url, int(last)))


if __name__ == "__main__":
    main(*sys.argv[1:])
