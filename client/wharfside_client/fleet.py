"""All nodes at once: who there is, what they run, and asking each of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from wharfside_client.bus import Bus
from wharfside_client.direct import Stored, read_pages
from wharfside_client.node import Node
from wharfside_protocol.assets import CONTAINERS_BUCKET, NODES_BUCKET
from wharfside_protocol.codec import decode
from wharfside_protocol.errors import Invalid, WharfsideError
from wharfside_protocol.records import Record
from wharfside_protocol.times import NANOSECONDS, from_timestamp
from wharfside_protocol.views import ContainerProjection, NodeInfo

SILENT_S = 90
"""A node that has put no presence for so long, by the server's time, is silent."""
SKEW_S = 2.0
"""A node's clock that is further from the server's is told."""
CONCURRENCY = 64

T = TypeVar("T")
V = TypeVar("V", bound=Record)


class NodeStatus(Record, frozen=True, kw_only=True):
    """A node as the bus knows it. `seen_s`: seconds since its last presence.

    `skew_s`: how far its clock is ahead of the server's (behind: negative); deadlines
    are read by the node's clock, so more than SKEW_S is worth a look. `info` is what it
    said of itself then; a node that is `silent` may be anything now.
    """

    node: str
    silent: bool
    seen_s: float
    info: NodeInfo
    skew_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Answers(Generic[T]):
    """What a fleet said. Whoever is not among `values` is among `missing`, with the reason."""

    values: dict[str, T] = field(default_factory=dict)
    missing: dict[str, WharfsideError] = field(default_factory=dict)


async def read_nodes(bus: Bus) -> list[NodeStatus]:
    """Every node that has a presence, by name.

    Raises:
        NotSetUp: the bucket is missing; `wharfside bootstrap` makes it.
    """
    found = [(at, info) async for at, info in _values(bus, NODES_BUCKET, NodeInfo)]
    now = time.time()
    return sorted(
        (_status(info, from_timestamp(at) / NANOSECONDS, now) for at, info in found),
        key=lambda status: status.node,
    )


async def read_containers(bus: Bus) -> list[ContainerProjection]:
    """Every container's latest state as the nodes have told it; a projection, not the truth.

    Raises:
        NotSetUp: the bucket is missing.
    """
    values = [value async for _, value in _values(bus, CONTAINERS_BUCKET, ContainerProjection)]
    return sorted(values, key=lambda value: (value.node, value.container))


async def ask_all(
    nodes: Iterable[Node], question: Callable[[Node], Awaitable[T]], concurrency: int = CONCURRENCY
) -> Answers[T]:
    """Asks every node, at most `concurrency` at a time; nobody's failure is another's."""
    answers: Answers[T] = Answers()
    turn = asyncio.Semaphore(concurrency)

    async def ask(node: Node) -> None:
        async with turn:
            try:
                answers.values[node.name] = await question(node)
            except WharfsideError as error:
                answers.missing[node.name] = error

    async with asyncio.TaskGroup() as group:
        for node in nodes:
            group.create_task(ask(node))
    return answers


def _status(info: NodeInfo, stored: float, now: float) -> NodeStatus:
    # a clock behind the server's would see presences from the future
    seen_s = max(now - stored, 0.0)
    return NodeStatus(
        node=info.node,
        silent=seen_s > SILENT_S,
        seen_s=round(seen_s, 1),
        info=info,
        skew_s=round(from_timestamp(info.at) / NANOSECONDS - stored, 1),
    )


async def _values(bus: Bus, bucket: str, kind: type[V]) -> AsyncIterator[tuple[str, V]]:
    async for page in read_pages(bus, f"KV_{bucket}", f"$KV.{bucket}.>"):
        for message in page:
            value = _value(message, kind)
            if value is not None:
                yield message.time, value


def _value(message: Stored, kind: type[V]) -> V | None:
    """None for a deleted key, and for what a node put there that is no such record."""
    if "KV-Operation" in message.headers or not message.data:
        return None
    try:
        return decode(message.data, kind)
    except Invalid:
        return None
