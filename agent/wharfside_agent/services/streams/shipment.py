"""One process's log on its way into the stream: one piece in flight, journalled, told once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from wharfside_agent.ports.bus import Bus, WrongSequence
from wharfside_agent.ports.io import Missing, Piece, Source
from wharfside_agent.ports.logs import LogName, Logs, LogWish
from wharfside_agent.ports.rows import ShipmentRow
from wharfside_agent.ports.store import Store
from wharfside_agent.services.insistence import Insistence
from wharfside_protocol.codec import encode_bulk
from wharfside_protocol.io_frames import CHUNK_BYTES, Chunk
from wharfside_protocol.shipped import ShippedOutput
from wharfside_protocol.subjects import Subjects

LINGER_S = 0.2
"""After a small piece: what a process says line by line goes by the handful."""

Lost = Callable[["Shipment", int, int], Awaitable[None]]
"""Tells that so many bytes from an offset on went before they were shipped."""


class Shipment:
    """Ships until the log is whole and shipped. `row` is how far it is.

    A piece is read, its end written down, and only then sent: whoever cannot know whether it
    was stored sends the very same one, and the stream keeps one of them.
    """

    def __init__(
        self,
        row: ShipmentRow,
        node: str,
        container: str,
        logs: Logs,
        store: Store,
        bus: Bus,
        subjects: Subjects,
        insistence: Insistence,
        lost: Lost,
    ) -> None:
        self.row = row
        self.shipped_bytes = 0
        self.name = LogName(row.incarnation, row.run, row.process)
        self._node = node
        self._container = container
        self._subject = subjects.log(node, container, row.process)
        self._logs = logs
        self._store = store
        self._bus = bus
        self._insistence = insistence
        self._lost = lost

    async def run(self) -> None:
        if self.row.sending is not None and self.row.sending > self.row.offset:
            await self._ship(LogWish(self.row.offset, end=self.row.sending, times=True), again=True)
        await self._ship(LogWish(self.row.offset, follow=True, times=True))
        await self._save(done=True, sending=None)

    @property
    def unsent(self) -> int:
        """So many bytes of the log are not in the stream, as far as anyone knows."""
        return self._logs.end(self.name) - self.row.offset

    async def _ship(self, wish: LogWish, *, again: bool = False) -> None:
        source = self._logs.source(self.name, wish)
        try:
            await self._ship_all(source, again=again)
        finally:
            source.close()

    async def _ship_all(self, source: Source, *, again: bool) -> None:
        while (item := await source.read(CHUNK_BYTES)) is not None:
            assert isinstance(item, Piece | Missing) and item.position is not None
            end = item.position.offset
            if isinstance(item, Missing):
                await self._lost(self, self.row.offset, item.count)
                shipped = self._piece(end, [], item.count)
            else:
                shipped = self._piece(end, item.chunks)
            await self._save(sending=end)
            await self._send(shipped, again=again)
            if shipped.end - shipped.offset < CHUNK_BYTES // 2:
                await asyncio.sleep(LINGER_S)

    def _piece(self, end: int, chunks: Sequence[Chunk], lost: int = 0) -> ShippedOutput:
        return ShippedOutput(
            node=self._node,
            container=self._container,
            incarnation=self.name.incarnation,
            run=self.name.run,
            process=self.name.process,
            offset=self.row.offset,
            end=end,
            chunks=list(chunks),
            lost=lost,
        )

    async def _send(self, piece: ShippedOutput, *, again: bool) -> None:
        payload, tries = encode_bulk(piece), 1 if again else 0
        name = self.name
        message_id = f"{name.incarnation}.{name.run}.{name.process}.{piece.offset}"

        async def send() -> int:
            nonlocal tries
            tries += 1
            try:
                return await self._publish(payload, message_id)
            except WrongSequence as wrong:
                before = self.row.last_acked or 0
                if tries > 1 and wrong.actual > before:
                    return wrong.actual  # an earlier try is stored
                self.row = msgspec.structs.replace(self.row, last_acked=wrong.actual)
                return await self._publish(payload, message_id)

        stored = await self._insistence.until_taken(self._subject, send)
        self.shipped_bytes += piece.end - piece.offset
        self.row = msgspec.structs.replace(
            self.row, offset=piece.end, sending=None, last_acked=stored
        )

    async def _publish(self, payload: bytes, message_id: str) -> int:
        return await self._bus.publish(
            self._subject,
            payload,
            message_id=message_id,
            expected=self.row.last_acked,
            expected_subject=None if self.row.last_acked is None else self._subject,
        )

    async def _save(self, **changes: object) -> None:
        """Also what the last piece's PubAck said: one commit a piece."""
        row = self.row = msgspec.structs.replace(self.row, **changes)
        await self._store.transact(lambda tx: tx.save_shipment(row))
