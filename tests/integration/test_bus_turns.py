"""A flood on one subject, whose messages nats-py hands over without a pause."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise

import nats
from tests.integration.bounds import bounded
from tests.integration.bus_kit import open_bus
from tests.support.nats_server import NatsServer
from tests.support.requirements import requires

from wharfside_agent.ports.bus import Request

pytestmark = requires("nats-server")

FLOOD = 100


async def test_a_flood_lets_others_have_the_loop(nats_server: NatsServer) -> None:
    async with open_bus(nats_server.url) as kit:
        turns, turns_at, all_heard = 0, list[int](), asyncio.Event()

        def work(_request: Request) -> None:
            time.sleep(0.003)
            turns_at.append(turns)
            if len(turns_at) == FLOOD:
                all_heard.set()

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        kit.on_heard = work
        turning = asyncio.create_task(other())
        client = await nats.connect(nats_server.url)
        for _ in range(FLOOD):
            await client.publish("told.x", b"x")
        await client.close()
        await bounded(all_heard.wait(), "the whole flood")
        turning.cancel()
    assert all(later > earlier for earlier, later in pairwise(turns_at))
