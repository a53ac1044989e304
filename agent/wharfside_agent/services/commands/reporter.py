"""Drains the outbox of reports to `res`: each told once, a result only when it is on the disk.

A subject of `res` belongs to one command and takes one message: the condition that
nothing is there yet makes a repeat harmless, however late it comes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import structlog

from wharfside_agent.core.journal import Step
from wharfside_agent.ports.bus import Bus, WrongSequence
from wharfside_agent.ports.rows import ReportKind, ReportRow
from wharfside_agent.ports.store import Store, Tx
from wharfside_agent.services.insistence import Insistence
from wharfside_agent.services.journal import Journal
from wharfside_agent.services.trace import HEADER as TRACE_HEADER
from wharfside_protocol.subjects import Subjects

log = structlog.get_logger(__name__)

AT_ONCE = 64
"""Reports read, and in flight, at once: what one round tells is forgotten in one commit."""

TROUBLE_S = 1.0

SYNCED = "reports-synced"
"""Meta key, written with an fsync before results are told: so all before it is on the disk."""


class Reporter:
    """The only one that publishes `accepted` and `result`. `run` is its one task."""

    def __init__(self, store: Store, bus: Bus, subjects: Subjects, journal: Journal) -> None:
        self._store = store
        self._bus = bus
        self._subjects = subjects
        self._journal = journal
        self._node = store.identity.node
        self._insistence = Insistence(bus)
        self._bell = asyncio.Event()
        self._idle = asyncio.Event()
        store.on_reported(self._ring)

    @property
    def wanting(self) -> str | None:
        """Why reports wait, where no stream takes them: see Insistence."""
        return self._insistence.wanting

    @property
    def retries(self) -> int:
        return self._insistence.retries

    def _ring(self) -> None:
        self._idle.clear()
        self._bell.set()

    async def run(self) -> None:
        """Tells what former lives left, then what each commit brings; for ever."""
        while True:
            try:
                await self._tell_all()
            except Exception as error:
                # The store has too much to do, or no room: what is not forgotten is told again.
                log.error("reports-not-told", exc_info=error)
                await asyncio.sleep(TROUBLE_S)
            else:
                await self._bell.wait()

    async def _tell_all(self) -> None:
        self._bell.clear()
        while rows := await self._store.transact(lambda tx: tx.reports(0, AT_ONCE)):
            await self._tell(rows)
        if not self._bell.is_set():
            self._idle.set()

    async def flush(self, timeout_s: float) -> None:
        """Waits until nothing is left to tell, at most so long."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), timeout_s)

    async def _tell(self, rows: Sequence[ReportRow]) -> None:
        if any(row.kind is ReportKind.RESULT for row in rows):
            await self._sync(rows[-1].place)
        of: dict[str, list[ReportRow]] = {}
        for row in rows:
            of.setdefault(row.command, []).append(row)
        await asyncio.gather(*(self._tell_one(each) for each in of.values()))
        self._journal.reached(Step.REPORT_PUBLISHED)
        await self._store.transact(lambda tx: _forget(tx, rows))

    async def _sync(self, place: int) -> None:
        await self._store.transact(lambda tx: tx.set_meta(SYNCED, str(place)), durable=True)

    async def _tell_one(self, rows: Sequence[ReportRow]) -> None:
        """One command's, in order."""
        for row in rows:
            await self._insistence.until_taken(row.command, lambda row=row: self._send(row))  # type: ignore[misc]

    async def _send(self, row: ReportRow) -> int:
        name = self._subjects.accepted if row.kind is ReportKind.ACCEPTED else self._subjects.result
        subject = name(self._node, row.command)
        try:
            return await self._bus.publish(
                subject,
                row.payload,
                headers={TRACE_HEADER: row.trace} if row.trace else None,
                message_id=f"{self._node}.{row.command}.{row.kind}",
                expected=0,
                expected_subject=subject,
            )
        except WrongSequence as wrong:
            return wrong.actual


def _forget(tx: Tx, rows: Sequence[ReportRow]) -> None:
    for row in rows:
        tx.forget_report(row.place)
