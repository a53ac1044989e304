"""Drops what is kept for a time only: terminal records after 24 h, results after 48 h."""

from __future__ import annotations

import asyncio

import structlog

from wharfside_agent.ports.clock import Clock
from wharfside_agent.ports.store import Store
from wharfside_protocol.times import NANOSECONDS

log = structlog.get_logger(__name__)

EVERY_S = 3600.0
RECORDS_KEPT = 24 * 3600 * NANOSECONDS
RESULTS_KEPT = 48 * 3600 * NANOSECONDS


async def keep_tidy(store: Store, clock: Clock) -> None:
    """Runs for ever."""
    while True:
        now = clock.now()
        dropped = await store.transact(
            lambda tx, now=now: tx.prune(now - RECORDS_KEPT, now - RESULTS_KEPT)  # type: ignore[misc]
        )
        if dropped:
            log.info("old-records-dropped", count=dropped)
        await asyncio.sleep(EVERY_S)
