"""Background tasks that are watched: one that fails is logged, none is lost to the collector.

And work that must come to its end, whatever becomes of who waits for it.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Coroutine, Generator
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

import structlog

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Tasks:
    """Owns tasks from `start` to their end or to `close`."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("task-failed", task=task.get_name(), exc_info=task.exception())

    async def close(self, grace_s: float = 5.0) -> None:
        """Cancels what still runs and waits for it, at most `grace_s`."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=grace_s)


async def unbroken(work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns. A waiter that is canceled waits on, and is canceled after it.

    It begins at once, and what waits for nothing takes no task, and no turn of the loop
    (as eager tasks, which Python has from 3.12 on). As a task it has a context of its own.
    """
    context = copy_context()
    try:
        awaited = context.run(work.send, None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    rest = asyncio.create_task(_rest(work, awaited), context=context)
    try:
        return await asyncio.shield(rest)
    except asyncio.CancelledError:
        await asyncio.wait([rest])
        raise


async def _rest(work: Coroutine[Any, Any, T], awaited: Any) -> T:
    return await _going_on(work, awaited)


@types.coroutine
def _going_on(work: Coroutine[Any, Any, T], awaited: Any) -> Generator[Any, Any, T]:
    """The rest of a coroutine that was begun by hand, and waits for `awaited`."""
    while True:
        try:
            yield awaited
        except BaseException as error:
            go_on = partial(work.throw, error)
        else:
            go_on = partial(work.send, None)
        try:
            awaited = go_on()
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
