"""The work that a migration's state asks for: one task an effect, tried until it is done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog
from tenacity import AsyncRetrying, RetryCallState, wait_chain, wait_fixed

from wharfside_agent.core.migration import Effect
from wharfside_agent.services.tasks import Tasks

log = structlog.get_logger(__name__)

AGAIN_S = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Between two tries, or two words that nobody has answered; the last one stays."""


class Effects:
    """At most one task for each effect of a migration: a newer one takes its place."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._running: dict[tuple[str, Effect], asyncio.Task[None]] = {}

    def start(self, migration: str, effect: Effect, work: Coroutine[Any, Any, None]) -> None:
        self.cancel(migration, effect)
        key = migration, effect
        task = self._tasks.start(work, f"{effect} of {migration}")
        self._running[key] = task
        task.add_done_callback(lambda ended: self._over(key, ended))

    def running(self, migration: str, effect: Effect) -> asyncio.Task[None] | None:
        return self._running.get((migration, effect))

    def cancel(self, migration: str, *effects: Effect) -> None:
        for effect in effects:
            if (task := self.running(migration, effect)) is not None:
                task.cancel()

    def _over(self, key: tuple[str, Effect], task: asyncio.Task[None]) -> None:
        if self._running.get(key) is task:
            del self._running[key]


async def until_done(what: str, migration: str, act: Callable[[], Awaitable[None]]) -> None:
    """Calls `act` until it raises nothing: what is left of a container must go some time."""

    def tell(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        log.error(what, migration=migration, exc_info=error)

    waits = wait_chain(*map(wait_fixed, AGAIN_S))
    async for attempt in AsyncRetrying(wait=waits, before_sleep=tell):
        with attempt:
            await act()
