"""The front door: `async with connect("nats://hub:4222") as w: await w.node("n1").info()`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from wharfside_client.bus import Bus
from wharfside_client.deadletters import DeadLetters
from wharfside_client.events import EventStream
from wharfside_client.fleet import (
    CONCURRENCY,
    SILENT_S,
    Answers,
    NodeStatus,
    ask_all,
    read_containers,
    read_nodes,
)
from wharfside_client.history import EventFilter, StoredEvent, read_history
from wharfside_client.live import LiveEvents
from wharfside_client.node import Node
from wharfside_client.progress import hear_progress
from wharfside_client.resync import Resynced, resync
from wharfside_client.settings import ServerSettings, split_urls
from wharfside_client.setup import Setup
from wharfside_client.watch import Watch
from wharfside_protocol.node_commands import Progress
from wharfside_protocol.views import ContainerProjection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

T = TypeVar("T")


class Wharfside:
    """A fleet over one connection to the bus; `connect` opens one."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    @property
    def settings(self) -> ServerSettings:
        return self._bus.settings

    @property
    def setup(self) -> Setup:
        """Streams, buckets and mailboxes: for the provisioner, who has the right to."""
        return Setup(self._bus)

    @property
    def dead_letters(self) -> DeadLetters:
        """Commands that no node took: for the provisioner, who has the right to see them."""
        return DeadLetters(self._bus)

    def node(self, name: str) -> Node:
        """The ops of one node; nothing is sent yet.

        Raises:
            Invalid: no node can be called so.
        """
        return Node(self._bus, name)

    async def nodes(self) -> list[NodeStatus]:
        """Every node with its presence, from the bus alone.

        Raises:
            NotSetUp: nothing is bootstrapped.
        """
        return await read_nodes(self._bus)

    async def containers(self) -> list[ContainerProjection]:
        """Every container as last told, also of nodes that are away now.

        Raises:
            NotSetUp: nothing is bootstrapped.
        """
        return await read_containers(self._bus)

    async def ask(
        self,
        question: Callable[[Node], Awaitable[T]],
        nodes: Iterable[str] | None = None,
        *,
        concurrency: int = CONCURRENCY,
    ) -> Answers[T]:
        """Puts one question to many nodes (all that have a presence, where left out).

        `await w.ask(lambda node: node.list(all=True))` returns the answers, and who
        gave none and why.

        Raises:
            NotSetUp: `nodes` is left out and nothing is bootstrapped.
        """
        names = [s.node for s in await self.nodes()] if nodes is None else nodes
        return await ask_all([self.node(name) for name in names], question, concurrency)

    async def resync(self, node: str) -> Resynced:
        """Lets a node put its projections again; removes those that it does not know.

        Raises:
            NotSetUp: nothing is bootstrapped.
        """
        return await resync(self._bus, self.node(node))

    def events(
        self, since: int | str | None = None, *, wanted: EventFilter | None = None
    ) -> EventStream:
        """The stream of events: after a sequence, from a time (RFC 3339), or from now on.

        `async with w.events(since=seq) as stream: async for seq, event in stream: ...`
        """
        return EventStream(self._bus, self.settings.subjects, wanted or EventFilter(), since)

    def history(
        self, since: int | str = 0, *, wanted: EventFilter | None = None
    ) -> AsyncIterator[StoredEvent]:
        """The events stored after a sequence, or from a time on, up to now."""
        return read_history(self._bus, self.settings.subjects, wanted or EventFilter(), since)

    def watch(
        self,
        *,
        nodes: Iterable[str] | None = None,
        labels: Mapping[str, str] | None = None,
        since: int | None = None,
        silent_s: float = SILENT_S,
    ) -> Watch:
        """The whole fleet's state, and then every change of it: nodes and containers.

        `nodes` and `labels` choose a part of it. `since` is the `seq` of a former watch:
        the state is as it was then, and all that has changed since is told first.
        A node is silent so long after its last put (they come every 30 s, and on change).

        `async with w.watch() as watch: async for change in watch: ...`

        Raises:
            Invalid: no node can be called so.
        """
        return Watch(
            self._bus,
            self.settings.subjects,
            nodes=nodes,
            labels=labels,
            since=since,
            silent_s=silent_s,
        )

    def progress(
        self, node: str, command_id: str, tell: Callable[[Progress], None]
    ) -> AbstractAsyncContextManager[None]:
        """Calls `tell` with what one long command tells while it runs (`drain`)."""
        return hear_progress(self._bus, node, command_id, tell)

    def live_events(self, *, wanted: EventFilter | None = None) -> LiveEvents:
        """Events as they pass, unstored: on a server without the stream."""
        return LiveEvents(self._bus, self.settings.subjects, wanted or EventFilter())


@asynccontextmanager
async def connect(settings: ServerSettings | str | None = None) -> AsyncIterator[Wharfside]:
    """Opens a connection for as long as the context lasts.

    `settings` may be the NATS URLs of one cluster, comma-separated as in NATS_URL, and is
    `nats://127.0.0.1:4222` where left out.

    Raises:
        ServerUnreachable, Refused: no server answers, or it does not let us in.
        BadSettings, Invalid: the settings cannot be used.
    """
    if isinstance(settings, str):
        settings = ServerSettings(servers=split_urls(settings))
    bus = Bus(settings or ServerSettings())
    await bus.open()
    try:
        yield Wharfside(bus)
    finally:
        await bus.close()
