"""What the client's tests publish in a node's place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from wharfside_client.bus import Bus
from wharfside_client.jetstream import JetStream
from wharfside_client.settings import ServerSettings, split_urls
from wharfside_protocol.codec import encode
from wharfside_protocol.events import Event, EventType
from wharfside_protocol.subjects import Subjects
from wharfside_protocol.views import NodeInfo

TIME = "2026-01-31T09:00:00Z"
IN_FLIGHT = 64


@asynccontextmanager
async def opened_bus(url: str, **settings: Any) -> AsyncIterator[Bus]:
    bus = Bus(ServerSettings(servers=split_urls(url), **settings))
    await bus.open()
    try:
        yield bus
    finally:
        await bus.close()


def event(number: int, *, node: str = "n1", container: str = "web") -> Event:
    """An event that a node could have told; `seq` is `number`."""
    return Event(
        event_id=f"{node}-{number}",
        node=node,
        node_id="id",
        boot_id="boot",
        epoch=1,
        seq=number,
        container=container,
        type=EventType.STARTED,
        occurred_at=TIME,
        observed_at=TIME,
        data={"pid": number},
    )


def presence(node: str) -> NodeInfo:
    return NodeInfo(
        node=node,
        node_id="id",
        boot_id="boot",
        life="life",
        epoch=1,
        version="0.1.0",
        state="up",
        started_at=TIME,
        at=TIME,
    )


async def tell(bus: Bus, *numbers: int, node: str = "n1", container: str = "web") -> None:
    """Stores events in the order given, one at a time, as a lane does."""
    js, subjects = JetStream(bus), Subjects()
    for number in numbers:
        told = event(number, node=node, container=container)
        await js.publish(subjects.event(node, container, told.type), encode(told))


async def publish_many(bus: Bus, messages: list[tuple[str, bytes]]) -> None:
    """Stores messages, many at a time: the order does not matter."""
    js, turn = JetStream(bus), asyncio.Semaphore(IN_FLIGHT)

    async def one(subject: str, data: bytes) -> None:
        async with turn:
            await js.publish(subject, data)

    await asyncio.gather(*(one(subject, data) for subject, data in messages))
