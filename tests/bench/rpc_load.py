"""Load on a request/reply path: the same loops for ours and for raw NATS."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter

Call = Callable[[], Awaitable[object]]


async def latencies(call: Call, count: int) -> list[float]:
    """Seconds of each of `count` calls, one after the other."""
    taken = []
    for _ in range(count):
        before = perf_counter()
        await call()
        taken.append(perf_counter() - before)
    return taken


async def throughput(call: Call, count: int, callers: int) -> float:
    """Calls a second, `callers` at a time, `count` in all."""

    async def caller() -> None:
        for _ in range(count // callers):
            await call()

    before = perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(caller())
    return (count // callers) * callers / (perf_counter() - before)
