"""One lane a container: commands in order; lanes beside each other, bounded (rule 6)."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from wharfside_agent.core.figures import COMMAND_S, Histogram
from wharfside_protocol.errors import Busy


@dataclass(slots=True)
class _Lane:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0


class Ticket:
    """The right to run in a lane; `release` gives it back, once, early or at the end."""

    def __init__(self, lanes: Lanes, key: str, lane: _Lane) -> None:
        self._lanes = lanes
        self._key = key
        self._lane: _Lane | None = lane

    def release(self) -> None:
        lane, self._lane = self._lane, None
        if lane is not None:
            self._lanes._leave(self._key, lane)


class Lanes:
    """`width`: lanes that run at once. `depth`: commands that wait in one lane.

    Attributes:
        busy: so many run now.
        waits: seconds that those who got in had to wait.
    """

    def __init__(self, width: int = 32, depth: int = 64) -> None:
        self.busy = 0
        self.waits = Histogram(COMMAND_S)
        self._lanes: dict[str, _Lane] = {}
        self._slots = asyncio.Semaphore(width)
        self._depth = depth

    @property
    def waiting(self) -> int:
        """So many wait to get in, in all lanes."""
        return sum(lane.waiting for lane in self._lanes.values()) - self.busy

    def deepen(self, depth: int) -> None:
        """From the next command on."""
        self._depth = depth

    async def enter(self, key: str, *, patient: bool = False) -> Ticket:
        """Waits for the lane of `key`; the caller bounds the wait.

        `patient`: also in a full one; the caller bounds how many there are of these.

        Raises:
            Busy: too many wait in it already.
        """
        lane = self._lanes.setdefault(key, _Lane())
        if lane.waiting >= self._depth and not patient:
            raise Busy(f"{self._depth} commands wait for {key}: try again later")
        lane.waiting += 1
        began = time.monotonic()
        try:
            await lane.lock.acquire()
        except BaseException:
            self._forget(key, lane)
            raise
        try:
            await self._slots.acquire()
        except BaseException:
            lane.lock.release()
            self._forget(key, lane)
            raise
        self.busy += 1
        self.waits.observe(time.monotonic() - began)
        return Ticket(self, key, lane)

    def _leave(self, key: str, lane: _Lane) -> None:
        self.busy -= 1
        self._slots.release()
        lane.lock.release()
        self._forget(key, lane)

    def _forget(self, key: str, lane: _Lane) -> None:
        lane.waiting -= 1
        if lane.waiting == 0:
            self._lanes.pop(key, None)
