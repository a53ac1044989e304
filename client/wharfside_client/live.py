"""Events as they pass, for a server without the stream: what is missed stays missed."""

from __future__ import annotations

import asyncio
import logging
from types import TracebackType
from typing import Self

from wharfside_client.bus import Bus, Tap
from wharfside_client.errors import EventsLost
from wharfside_client.history import EventFilter, StoredEvent, decode_event
from wharfside_client.messages import Message
from wharfside_protocol.errors import Invalid
from wharfside_protocol.subjects import Subjects

LIMIT = 4096
"""Events held for a slow reader; one more, and the reader is told that it lost some."""

_log = logging.getLogger("wharfside.client")


class LiveEvents:
    """A plain subscription to `evt`; use it as a context, then iterate. `seq` is always 0.

    Attributes:
        lost: events that came when the reader's buffer was full.
    """

    def __init__(self, bus: Bus, subjects: Subjects, wanted: EventFilter) -> None:
        self._bus = bus
        self._subjects = subjects
        self._subject = wanted.stored_in(subjects)
        self._queue: asyncio.Queue[Message] = asyncio.Queue(LIMIT)
        self.lost = 0
        self._tap: Tap | None = None

    async def __aenter__(self) -> Self:
        self._tap = await self._bus.subscribe(self._subject, self._receive)
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None
    ) -> None:
        if self._tap is not None:
            await self._tap.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StoredEvent:
        """
        Raises:
            EventsLost: this reader was too slow.
        """
        while True:
            if self.lost:
                raise EventsLost(f"{self.lost} events came faster than they were read")
            message = await self._queue.get()
            try:
                return StoredEvent(0, decode_event(self._subjects, message.subject, message.data))
            except Invalid as error:
                _log.warning("no event on %s: %s", message.subject, error)

    def _receive(self, message: Message) -> None:
        try:
            self._queue.put_nowait(message)
        except asyncio.QueueFull:
            self.lost += 1
