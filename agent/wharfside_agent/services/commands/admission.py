"""Whether the node may take new work: what it begins it must be able to tell the end of."""

from __future__ import annotations

import asyncio
import os

import structlog

from wharfside_agent.errors import DiskFull, OutOfDescriptors
from wharfside_agent.ports.store import Store
from wharfside_protocol.errors import Busy
from wharfside_protocol.ops import OPS

log = structlog.get_logger(__name__)

DESCRIPTORS_KEPT = 32
"""So many must be free: what runs may need them to come to its told end, or to be deleted."""

ROOM_EVERY_S = 1.0


class Admission:
    """Asked before a command is written down; a command that is known is never refused.

    Only new work is refused (Op.new_work): other ops help the node out of its shortage.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def check(self, op: str) -> None:
        """Raises Busy (DiskFull, OutOfDescriptors): nothing was done; it says what to do."""
        if OPS[op].new_work and (short := self.shortage()) is not None:
            raise short

    def shortage(self) -> Busy | None:
        """Why the node can take no new work now."""
        if self._store.disk_full:
            return DiskFull()
        if self._store.room.full:
            return Busy(
                "as many events wait for the bus as the node keeps (outbox.max_events): "
                "try again when its server, and the streams, are back",
                outbox="full",
            )
        return None if descriptors_free(DESCRIPTORS_KEPT) else OutOfDescriptors()


def descriptors_free(count: int) -> bool:
    """Tried out, since nothing tells it; some 20 us."""
    taken: list[int] = []
    try:
        while len(taken) < count:
            taken.append(os.dup(2))
    except OSError:
        return False
    finally:
        for fd in taken:
            os.close(fd)
    return True


async def keep_room(store: Store) -> None:
    """Builds the reserve anew when the disk has room again, for ever."""
    while True:
        await asyncio.sleep(ROOM_EVERY_S)
        if store.disk_full:
            try:
                if await asyncio.to_thread(store.keep_room):
                    log.info("disk-has-room")
            except OSError as error:
                log.warning("reserve-not-kept", error=str(error))
