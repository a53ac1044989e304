"""A full outbox, and how long the agent takes to bring it into the stream.

Containers cannot be run fast enough to fill it, so its rows are written as the agent
itself writes them, through its own store, while it is down.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nats
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from tenacity import (
    RetryError,
    retry,
    retry_if_exception_type,
    retry_if_result,
    stop_after_delay,
    wait_fixed,
)
from ulid import ULID

from wharfside_agent.host import boot_id
from wharfside_agent.ports.rows import EventDraft
from wharfside_agent.ports.store import Tx
from wharfside_agent.store.opening import open_store
from wharfside_client import EventFilter, Wharfside
from wharfside_protocol.assets import EVT
from wharfside_protocol.event_facts import Signaled, facts
from wharfside_protocol.events import EventType

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


@dataclass(frozen=True)
class Sent:
    """`count` events of `node`, the first of them behind the stream's sequence `known`."""

    node: str
    known: int
    count: int


async def drained(
    server: str, watcher: Wharfside, sent: Sent, half_way: Callable[[], None] | None
) -> float:
    """Events a second from the first to the last that the stream stored.

    Raises:
        EventsMissing: not all within DRAIN_SECONDS, or not each just once.
    """
    client = await nats.connect(
        server, max_reconnect_attempts=-1, reconnect_time_wait=0.1, error_cb=_quiet
    )
    jetstream = client.jetstream()
    first, last = sent.known + 1, sent.known + sent.count
    try:
        if half_way is not None:
            await _stored(jetstream, (first + last) // 2)
            half_way()  # a server started by a thread would end with it (PR_SET_PDEATHSIG)
        await _stored(jetstream, last)
        await _check(watcher, sent)
        began, ended = [await _stored_at(jetstream, at) for at in (first, last)]
    finally:
        await client.close()
    return sent.count / (ended - began)


async def _quiet(_error: Exception) -> None:
    """That the server is away is what is measured."""


async def _stored(jetstream: JetStreamContext, sequence: int) -> None:
    """Until the stream has `sequence`; a server that is away is asked again."""

    @retry(
        retry=retry_if_result(lambda last: last < sequence) | retry_if_exception_type(NatsError),
        stop=stop_after_delay(DRAIN_SECONDS),
        wait=wait_fixed(0.05),
    )
    async def wait() -> int:
        return await _last(jetstream)

    try:
        await wait()
    except RetryError as error:
        raise EventsMissing(f"{sequence} was not stored within {DRAIN_SECONDS} s") from error


async def _check(watcher: Wharfside, sent: Sent) -> None:
    wanted = EventFilter(node=sent.node, type=MARK)
    told = Counter(
        [stored.event.event_id async for stored in watcher.history(sent.known, wanted=wanted)]
    )
    if len(told) != sent.count or max(told.values()) != 1:
        twice = told.total() - len(told)
        raise EventsMissing(f"{sent.count} events, {len(told)} stored, {twice} twice")


async def _last(jetstream: JetStreamContext) -> int:
    return (await jetstream.stream_info(EVT)).state.last_seq


async def _stored_at(jetstream: JetStreamContext, sequence: int) -> float:
    message = await jetstream.get_msg(EVT, sequence)
    assert message.time is not None
    return message.time.timestamp()
