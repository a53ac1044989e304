"""The agent's bus by itself on real servers, with bounds short enough to be awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nats
from tests.integration.bounds import BOUND_S, bounded

from wharfside_agent.bus.connection import NatsBus
from wharfside_agent.bus.options import BusOptions
from wharfside_agent.bus.service import RpcService
from wharfside_agent.ports.bus import BusError, Request

SHORT: dict[str, Any] = {"ping_interval_s": 60.0, "unacked_s": 60.0, "spread_s": 0.1}
"""Each test shortens the one bound that it is about."""


@dataclass
class Kit:
    """`connects` counts; `heard` is what came on `told.>`."""

    bus: NatsBus
    running: asyncio.Task[None] | None = None
    connects: int = 0
    heard: list[bytes] = field(default_factory=list)
    on_heard: Callable[[Request], None] | None = None
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)
    _news_tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def connected(self) -> None:
        self.connects += 1
        task = asyncio.create_task(self._tell())
        self._news_tasks.add(task)
        task.add_done_callback(self._news_tasks.discard)

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()

    async def until(self, probe: Callable[[], bool], what: str) -> None:
        async def wait() -> None:
            async with self._news:
                await self._news.wait_for(probe)

        await bounded(wait(), what)

    async def connected_times(self, count: int) -> None:
        await self.until(lambda: self.connects >= count, f"{count} connects")

    def take(self, request: Request) -> None:
        self.heard.append(request.data)
        if self.on_heard is not None:
            self.on_heard(request)

    async def asked(self, subject: str = "nobody.there", timeout_s: float = BOUND_S) -> str:
        """What becomes of a publish: the name of the bus's error, or `stored`."""
        try:
            await self.bus.publish(subject, b"x", timeout_s=timeout_s)
        except BusError as error:
            return type(error).__name__
        return "stored"


async def echo(request: Request) -> bytes:
    if request.data == b"raise":
        raise ValueError("a handler that is broken")
    return request.data


def make_service() -> RpcService:
    return RpcService(
        "1.0.0", "n1", "id-1", ("echo",), ("instant",), (), 64, lambda _request: b"busy"
    )


@asynccontextmanager
async def open_bus(
    *servers: str, wait: bool = True, prepare: Callable[[Kit], None] | None = None, **options: Any
) -> AsyncIterator[Kit]:
    """A bus that serves `rpc.*` and listens to `told.>`; `prepare` comes before it connects."""
    settings = SHORT | options
    bus = NatsBus(BusOptions(servers, "test", "_INBOX_n1", **settings), make_service())
    kit = Kit(bus)
    bus.on_connected(kit.connected)
    if prepare is not None:
        prepare(kit)
    await bus.serve("rpc.*", echo)
    await bus.listen("told.>", kit.take)
    kit.running = asyncio.create_task(bus.run())
    try:
        if wait:
            await kit.connected_times(1)
        yield kit
        assert not kit.running.done(), "the bus has given up"
    finally:
        await bus.close()
        kit.running.cancel()
        await asyncio.wait({kit.running})


async def call(url: str, subject: str, data: bytes, **options: Any) -> bytes:
    """One request by a client of its own."""
    client = await nats.connect(url, **options)
    try:
        return bytes((await client.request(subject, data, timeout=BOUND_S)).data)
    finally:
        await client.close()


def replace(path: Path, text: str) -> None:
    """As an operator should: whole, by rename."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.rename(path)
