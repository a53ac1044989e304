"""The events of this node as they arrive over NATS: shown, kept, waited for."""

from __future__ import annotations

import asyncio
import time
from typing import NamedTuple

from deploy.quickstart.failures import QuickstartFailed
from deploy.quickstart.screen import Screen

from wharfside_client import EventStream
from wharfside_protocol.events import Event, EventType
from wharfside_protocol.times import NANOSECONDS, from_timestamp

WAIT_S = 30.0


class Arrived(NamedTuple):
    """An event, and when it was here (ns since 1970)."""

    event: Event
    at_ns: int

    @property
    def late_ms(self) -> float:
        """From when it happened to here."""
        return (self.at_ns - from_timestamp(self.event.occurred_at)) / NANOSECONDS * 1000


class Watch:
    """Reads the stream for as long as it runs. Attributes: `seen`, in the order of arrival."""

    def __init__(self, stream: EventStream, screen: Screen) -> None:
        self.seen: list[Arrived] = []
        self._stream = stream
        self._screen = screen
        self._more = asyncio.Condition()

    async def run(self) -> None:
        """Until cancelled."""
        async for _, event in self._stream:
            arrived = Arrived(event, time.time_ns())
            if event.type == EventType.AUDIT:  # who did it is no part of this story
                continue
            self._screen.event(event)
            async with self._more:
                self.seen.append(arrived)
                self._more.notify_all()

    async def get(
        self, container: str | None, type_: EventType, process: str | None = None
    ) -> Arrived:
        """The first event of this kind; one that has arrived already, or the next to come.

        Raises:
            QuickstartFailed: there is none within WAIT_S.
        """
        found = self.all(container, type_, process)
        try:
            async with asyncio.timeout(WAIT_S), self._more:
                while not (found := self.all(container, type_, process)):
                    await self._more.wait()
        except TimeoutError:
            raise QuickstartFailed(
                f"no event {type_!s} of {container or 'the node'} within {WAIT_S:g} s"
            ) from None
        return found[0]

    def all(
        self, container: str | None, type_: EventType | None = None, process: str | None = None
    ) -> list[Arrived]:
        """What has arrived of one container (None: of the node itself)."""
        return [
            arrived
            for arrived in self.seen
            if arrived.event.container == container
            and type_ in (None, arrived.event.type)
            and process in (None, arrived.event.process)
        ]
