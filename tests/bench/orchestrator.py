"""The remote side in the bench's own process: the client library, as anybody would use it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import perf_counter

from wharfside_client import EventFilter, EventStream, Node, Wharfside, connect, container
from wharfside_protocol.events import EventType

EVENT_SECONDS = 60.0

Expected = tuple[str, EventType]


@dataclass
class Orchestrator:
    """A client of one node with one event stream open, from which every wait is answered."""

    client: Wharfside
    node: Node
    _waiting: dict[Expected, asyncio.Future[float]] = field(default_factory=dict)

    async def follow(self, events: EventStream) -> None:
        """Hands each event to whoever waits for it, with the time of its arrival here."""
        async for _sequence, event in events:
            waiting = self._waiting.pop((event.container or "", event.type), None)
            if waiting is not None and not waiting.done():
                waiting.set_result(perf_counter())

    def expect(self, name: str, type_: EventType) -> Awaitable[float]:
        """The arrival (perf_counter) of the next event of this type of this container.

        Raises:
            TimeoutError: none within EVENT_SECONDS.
        """
        future = asyncio.get_running_loop().create_future()
        self._waiting[name, type_] = future
        return asyncio.wait_for(future, EVENT_SECONDS)

    async def life(
        self, name: str, bundle: Path, started: Callable[[int], None] | None = None
    ) -> float:
        """Seconds from sending `run` until `exited` has arrived; the container stays."""
        exited = self.expect(name, EventType.EXITED)
        before = perf_counter()
        running = asyncio.ensure_future(self.node.run(container(name, bundle=str(bundle))))
        try:
            value = await running
            if started is not None and value.pid is not None:
                started(value.pid)
            return await exited - before
        finally:
            running.cancel()

    async def start_all(self, names: list[str], bundle: Path, parallel: int) -> None:
        """Runs them, so many at a time, and waits until each `started` has arrived."""

        async def start(name: str) -> None:
            started = self.expect(name, EventType.STARTED)
            await self.node.run(container(name, bundle=str(bundle)))
            await started

        await in_parallel([partial(start, name) for name in names], parallel)

    async def delete(self, name: str) -> None:
        await self.node.delete(name, force=True)

    async def delete_all(self, parallel: int) -> None:
        names = [view.container for view in await self.node.list(all=True)]
        await in_parallel([partial(self.delete, name) for name in names], parallel)


async def in_parallel(work: list[Callable[[], Awaitable[object]]], parallel: int) -> None:
    """All of `work`, at most so much at a time."""
    left = iter(work)

    async def worker() -> None:
        for one in left:
            await one()

    async with asyncio.TaskGroup() as group:
        for _ in range(parallel):
            group.create_task(worker())


async def open_orchestrator(stack: AsyncExitStack, server: str, node: str) -> Orchestrator:
    """Connected, the streams made, the events of `node` followed; closed with `stack`."""
    client = await stack.enter_async_context(connect(server))
    await client.setup.bootstrap()
    events = await stack.enter_async_context(client.events(wanted=EventFilter(node=node)))
    orchestrator = Orchestrator(client, client.node(node))
    task = asyncio.create_task(orchestrator.follow(events))

    async def end() -> None:
        task.cancel()
        await asyncio.wait([task])

    stack.push_async_callback(end)
    return orchestrator
