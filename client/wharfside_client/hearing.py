"""What a watch hears: the events and both buckets, each followed for itself, in one line.

A slow reader of the line is held up in the followers, which then read pages.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import NamedTuple

from wharfside_client import present as reading
from wharfside_client.bus import Bus
from wharfside_client.events import event_source
from wharfside_client.follow import LIVE_LIMIT, OUTAGE_S, RESYNC_S, Follower, Heard
from wharfside_client.history import EventFilter
from wharfside_client.picture import WatchFilter
from wharfside_client.present import Present
from wharfside_protocol.subjects import Subjects

INPUTS = 256
"""Messages between the followers and the reader."""

EVENTS, NODES, CONTAINERS = "events", "nodes", "containers"


class Input(NamedTuple):
    """What a follower brings: a message, or why it cannot go on."""

    source: str
    told: Heard | Exception


class Hearing:
    """`listen`, then `follow` from what was read; `next` until it is `taken`."""

    def __init__(
        self,
        bus: Bus,
        subjects: Subjects,
        wanted: WatchFilter,
        *,
        resync_s: float = RESYNC_S,
        outage_s: float = OUTAGE_S,
        live_limit: int = LIVE_LIMIT,
    ) -> None:
        sources = {
            EVENTS: event_source(subjects, EventFilter(node=wanted.node)),
            NODES: reading.nodes_source(subjects, wanted),
            CONTAINERS: reading.containers_source(subjects, wanted),
        }
        self._followers = {
            name: Follower(bus, source, resync_s=resync_s, outage_s=outage_s, live_limit=live_limit)
            for name, source in sources.items()
        }
        self._inputs: asyncio.Queue[Input] = asyncio.Queue(INPUTS)
        self._pumps: list[asyncio.Task[None]] = []
        self._first: Input | None = None

    async def listen(self) -> None:
        """
        Raises:
            NotSetUp: a stream or bucket is missing.
        """
        for follower in self._followers.values():
            await follower.listen()

    def follow(self, present: Present) -> None:
        """From where `present` was read."""
        cursors = {
            EVENTS: present.events,
            NODES: present.nodes_at,
            CONTAINERS: present.containers_at,
        }
        for name, follower in self._followers.items():
            follower.begin(cursors[name])
            task = asyncio.create_task(self._pump(name, follower), name=f"wharfside-watch-{name}")
            self._pumps.append(task)

    async def next(self, within_s: float | None) -> Input | None:
        """The first in line, which stays there until it is `taken`; None: not in time."""
        if self._first is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    self._first = await self._inputs.get()
        return self._first

    def taken(self) -> None:
        self._first = None

    async def forget(self) -> None:
        """Whatever was heard and not read: all is read anew, then followed."""
        await self._stop_pumps()
        self._inputs = asyncio.Queue(INPUTS)
        for follower in self._followers.values():
            follower.forget()

    async def close(self) -> None:
        await self._stop_pumps()
        for follower in self._followers.values():
            await follower.close()

    async def _pump(self, name: str, follower: Follower) -> None:
        """From a follower into the line; ends with the first error, which the reader gets."""
        while True:
            try:
                told: Heard | Exception = await follower.next()
            except Exception as error:
                told = error
            await self._inputs.put(Input(name, told))
            if isinstance(told, Exception):
                return

    async def _stop_pumps(self) -> None:
        for task in self._pumps:
            task.cancel()
        if self._pumps:
            await asyncio.wait(self._pumps)
        self._pumps.clear()
