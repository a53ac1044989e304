"""Blocking work on files in a thread that can be followed and called off."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import TypeVar

from wharfside_protocol.errors import Canceled

PROGRESS_S = 0.1

T = TypeVar("T")


@dataclass(slots=True)
class Work:
    """What the loop and its threads share: how far it is, in bytes, and whether it is wanted."""

    total: int = 0
    done: int = 0
    canceled: threading.Event = field(default_factory=threading.Event)
    _adding: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, count: int) -> None:
        """Raises Canceled: nobody wants the rest."""
        with self._adding:
            self.done += count
        if self.canceled.is_set():
            raise Canceled("the work on the files was canceled")


async def in_thread(
    pool: Executor | None,
    work: Callable[[Work], T],
    progress: Callable[[int, int], None] | None = None,
) -> T:
    """`work` in a thread; a canceled caller goes once the thread has let go of everything."""
    shared = Work()
    future = asyncio.get_running_loop().run_in_executor(pool, work, shared)
    try:
        while progress is not None and not future.done():
            await asyncio.wait([future], timeout=PROGRESS_S)
            progress(shared.done, shared.total)
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        shared.canceled.set()
        await asyncio.wait([future])
        if not future.cancelled():
            future.exception()  # seen
        raise
