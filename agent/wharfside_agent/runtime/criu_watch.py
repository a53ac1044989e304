"""Sees to it that a runc whose CRIU was killed does not wait for ever.

CRIU's helpers, and the processes that it was about to restore, outlive it and hold the socket on
which runc waits for its next word. So what counts is whether anybody there still works.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from wharfside_agent.procs import proc_stat
from wharfside_agent.runtime.identity import children

LOOK_S = 0.5

STALLED_S = 10.0
"""No process below runc uses the CPU or waits for a disk for so long: nobody does any more.

Dumps and restores are made of nothing else; each of their own waits is for one that works.
"""

_AT_WORK = ("R", "D")


@asynccontextmanager
async def watched(runc: Callable[[], int | None]) -> AsyncIterator[None]:
    """While the context lasts. `runc`: its pid, once that is known, and while it lives."""
    task = asyncio.create_task(_watch(runc), name="watch on criu")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _watch(runc: Callable[[], int | None]) -> None:
    seen: dict[int, int] = {}
    since = time.monotonic()
    while True:
        await asyncio.sleep(LOOK_S)
        pid = runc()
        work = {} if pid is None else _work_below(pid)
        if pid is None or not work or work != seen:
            seen, since = work, time.monotonic()
        elif time.monotonic() - since >= STALLED_S:
            _end(pid)
            return


def _work_below(runc: int) -> dict[int, int]:
    """CPU ticks by pid; nothing where one is at work now, or there is none."""
    ticks: dict[int, int] = {}
    waiting = children(runc)
    while waiting:
        pid = waiting.pop()
        stat = proc_stat(pid)
        if stat is not None and stat.state in _AT_WORK:
            return {}
        if stat is not None and pid not in ticks:
            ticks[pid] = stat.cpu_ticks
            waiting += children(pid)
    return ticks


def _end(runc: int) -> None:
    for pid in (*children(runc), runc):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
