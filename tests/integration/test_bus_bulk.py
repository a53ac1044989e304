"""Large messages of many senders on one connection: each comes whole, in its sender's order."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from typing import cast

import nats
from nats.aio.msg import Msg
from tests.integration.bounds import bounded
from tests.support.nats_server import NatsServer
from tests.support.requirements import requires

from wharfside_agent.bus.client import LARGE_BYTES, StrictClient
from wharfside_protocol.io_writing import Parts

SENDERS = 8
MESSAGES = 40
SIZES = (0, 100, LARGE_BYTES - 1, LARGE_BYTES, 130_000, 300_000)
"""Together far more than nats-py lets wait: senders are stopped in between."""

pytestmark = requires("nats-server")


async def test_nothing_comes_between_the_parts_of_a_message(nats_server: NatsServer) -> None:
    rng = random.Random(4)
    sent = {
        f"bulk.{sender}": [rng.randbytes(rng.choice(SIZES)) for _ in range(MESSAGES)]
        for sender in range(SENDERS)
    }
    came, over = defaultdict[str, list[bytes]](list), asyncio.Event()

    async def take(message: Msg) -> None:
        came[message.subject].append(message.data)
        if sum(map(len, came.values())) == SENDERS * MESSAGES:
            over.set()

    client = StrictClient()
    async with await nats.connect(nats_server.url) as reader:
        await reader.subscribe("bulk.*", cb=take)
        await reader.flush()
        await client.connect(nats_server.url)
        try:
            await asyncio.gather(*(_send(client, *each) for each in sent.items()))
            await bounded(over.wait(), "all messages")
        finally:
            await client.close()
    assert came == sent
    assert client.stats["out_bytes"] == sum(len(each) for all_ in sent.values() for each in all_)


async def _send(client: StrictClient, subject: str, payloads: list[bytes]) -> None:
    """Every second one in parts."""
    for number, payload in enumerate(payloads):
        cut = [payload[:1000], payload[1000:]]
        whole = payload if number % 2 else cast("bytes", Parts(cut))  # len() is all that it asks
        await client.publish(subject, whole)
