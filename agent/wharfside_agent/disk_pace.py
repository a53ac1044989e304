"""Short work on files: on the loop while the disk is quick, in a thread while it is not.

A few system calls into the page cache take some 100 us: less than it costs to wake a thread for
them, and to hand the interpreter to and fro at each (a quarter of the agent's time a container:
docs/figures.md). But each may wait for a disk: whoever has waited leaves them to threads a while.
"""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

SLOW_S = 0.01
"""Work on the loop that took longer, and waited meanwhile, says that the disk is slow."""

SHARE = 0.01
"""Of its time the loop waits for disks so much at most: before it tries again, threads have all
work for a hundred times as long as the last wait took."""

LONGEST_S = 60.0
"""But no longer."""


class DiskPace:
    """Of one kind of work: whether the loop may do it by itself, by how it went before."""

    def __init__(self) -> None:
        self._slow_until = 0.0

    @property
    def quick(self) -> bool:
        return time.monotonic() >= self._slow_until

    @contextmanager
    def watched(self) -> Iterator[None]:
        """For work on the loop: how long it takes decides about the next."""
        began, waits = time.monotonic(), _waits()
        try:
            yield
        finally:
            ended = time.monotonic()
            took = ended - began
            if took > SLOW_S and _waits() > waits:
                self._slow_until = ended + min(took / SHARE, LONGEST_S)

    async def do(self, work: Callable[[], T]) -> T:
        """A thread that has it goes on where its caller is canceled, as with `to_thread`."""
        if not self.quick:
            return await asyncio.to_thread(work)
        with self.watched():
            return work()


def _waits() -> int:
    """So often this thread went to sleep by itself, as for a disk: one that had to leave its CPU to
    others for so long says nothing about a disk (getrusage(2), ru_nvcsw)."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
