"""Stamps events as they arrive in a process of its own, as an orchestrator's would be.

    python -m tests.bench.subscriber URL SUBJECT FILE

One line each when stdin is closed: JSON with `at` (CLOCK_MONOTONIC ns, the clock of the
observer), `type`, `container`, `incarnation` and `pid` (null where the type has none).
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

import nats
from nats.aio.msg import Msg

from wharfside_protocol.codec import decode
from wharfside_protocol.events import Event

MAX_EVENTS = 200_000


async def collect(url: str, subject: str) -> list[tuple[int, bytes]]:
    """(arrival, payload) of everything on `subject` until stdin is closed."""
    arrived: list[tuple[int, bytes]] = []

    async def take(message: Msg) -> None:
        if len(arrived) < MAX_EVENTS:
            arrived.append((time.monotonic_ns(), message.data))

    client = await nats.connect(url)
    await client.subscribe(subject, cb=take)
    await client.flush()
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await client.drain()
    return arrived


def line(at: int, payload: bytes) -> str:
    event = decode(payload, Event)
    return json.dumps(
        {
            "at": at,
            "type": event.type,
            "container": event.container,
            "incarnation": event.incarnation,
            "pid": event.data.get("pid"),
        }
    )


def main(url: str, subject: str, file: str) -> None:
    arrived = asyncio.run(collect(url, subject))
    Path(file).write_text("".join(line(at, payload) + "\n" for at, payload in arrived))


if __name__ == "__main__":
    main(*sys.argv[1:])
