"""A full outbox, and how long the agent takes to bring it into the stream.

Containers cannot be run fast enough to fill it, so its rows are written as the agent
itself writes them, through its own store, while it is down.
"""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import nats
from nats.js import JetStreamContext
from tenacity import retry, retry_if_result, stop_after_delay, wait_fixed
from ulid import ULID

from wharfside_agent.host import boot_id
from wharfside_agent.ports.store import EventDraft, Tx
from wharfside_agent.store.writer import open_store
from wharfside_client import EventFilter, Wharfside
from wharfside_protocol.assets import EVT
from wharfside_protocol.events import EventType, Signaled, facts

CONTAINERS = 500
BATCH = 1000
DRAIN_SECONDS = 120
MARK = EventType.SIGNALED


class EventsMissing(Exception):
    """The stream does not hold every event of the outbox just once."""


async def fill(store_path: Path, node: str, count: int) -> None:
    """`count` events of CONTAINERS containers, a transaction for each BATCH."""
    store = open_store(store_path, node, boot_id(), time.time_ns())
    incarnations = [str(ULID()) for _ in range(CONTAINERS)]

    def append(tx: Tx, first: int) -> None:
        for number in range(first, min(first + BATCH, count)):
            tx.append_event(_draft(number, incarnations))

    try:
        for first in range(0, count, BATCH):
            await store.transact(lambda tx, first=first: append(tx, first))  # type: ignore[misc]
    finally:
        await store.close()


def _draft(number: int, incarnations: list[str]) -> EventDraft:
    now = time.time_ns()
    at = number % CONTAINERS
    return EventDraft(
        type=MARK,
        container=f"load-{at}",
        incarnation=incarnations[at],
        run=1,
        revision=number // CONTAINERS + 1,
        occurred_at=now,
        observed_at=now,
        data=facts(Signaled(signal=15)),
    )


async def last_stored(server: str) -> int:
    """The stream's last sequence."""
    client = await nats.connect(server)
    try:
        return await _last(client.jetstream())
    finally:
        await client.close()


async def drained(server: str, watcher: Wharfside, node: str, known: int, count: int) -> float:
    """Events a second from the first to the last that the stream stored after `known`.

    Raises:
        EventsMissing: not all within DRAIN_SECONDS, or not each just once.
    """
    client = await nats.connect(server)
    jetstream = client.jetstream()

    @retry(
        retry=retry_if_result(lambda last: last < known + count),
        stop=stop_after_delay(DRAIN_SECONDS),
        wait=wait_fixed(0.05),
        retry_error_callback=lambda _state: None,
    )
    async def wait() -> int | None:
        return await _last(jetstream)

    try:
        last = await wait()
        if last is None:
            raise EventsMissing(f"not all of {count} stored within {DRAIN_SECONDS} s")
        await _check(watcher, node, known, count)
        first_at, last_at = [await _stored_at(jetstream, at) for at in (known + 1, known + count)]
    finally:
        await client.close()
    return count / (last_at - first_at)


async def _check(watcher: Wharfside, node: str, known: int, count: int) -> None:
    wanted = EventFilter(node=node, type=MARK)
    told = Counter(
        [stored.event.event_id async for stored in watcher.history(known, wanted=wanted)]
    )
    if len(told) != count or max(told.values()) != 1:
        raise EventsMissing(f"{count} events, {len(told)} stored, {told.total() - len(told)} twice")


async def _last(jetstream: JetStreamContext) -> int:
    return (await jetstream.stream_info(EVT)).state.last_seq


async def _stored_at(jetstream: JetStreamContext, sequence: int) -> float:
    message = await jetstream.get_msg(EVT, sequence)
    assert message.time is not None
    return message.time.timestamp()
