"""An end that comes near is told once a threshold, over restarts, with the clock of the test."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from tests.support.jwts import Trust

from wharfside_agent.bus.credential_files import OptionFiles
from wharfside_agent.bus.options import BusOptions
from wharfside_agent.core.expiry import DAY_S, HOUR_S
from wharfside_agent.ports.store import Store
from wharfside_agent.services.telling.credentials import Credentials
from wharfside_agent.store.opening import open_store
from wharfside_protocol.codec import decode
from wharfside_protocol.events import Event
from wharfside_protocol.times import NANOSECONDS

END_S = 1_900_000_000


class Life:
    """One life of the part; its clock stands at `left_s` before the end, its bell is ours."""

    def __init__(self, creds: Path, store: Store) -> None:
        self.left_s = 365.0 * DAY_S
        self.renewed = 0
        self.waits: asyncio.Queue[float] = asyncio.Queue()
        self.rings: asyncio.Queue[bool] = asyncio.Queue()
        options = BusOptions(("nats://127.0.0.1:4222",), "t", "_INBOX_t", creds=creds)
        self.part = Credentials(
            OptionFiles(lambda: options), self, store, self, self._renew, lambda: None
        )

    def _renew(self) -> None:
        self.renewed += 1

    def now(self) -> int:
        return int((END_S - self.left_s) * NANOSECONDS)

    def boottime(self) -> int:
        return 0

    def listen(self, paths: Sequence[Path]) -> None:
        assert paths

    async def changed(self, timeout_s: float) -> bool:
        self.waits.put_nowait(timeout_s)
        return await self.rings.get()

    async def looked(self) -> float:
        """Once a look is over; how long the next one is waited for."""
        return await asyncio.wait_for(self.waits.get(), 20)

    async def looks_at(self, left_s: float) -> float:
        self.left_s = left_s
        self.rings.put_nowait(False)
        return await self.looked()


async def thresholds(store: Store) -> list[int]:
    rows = await store.transact(lambda tx: tx.outbox(0, 100))
    return [decode(row.event, Event).data["within_s"] for row in rows]


async def test_once_a_threshold_and_once_for_all_lives(tmp_path: Path) -> None:
    creds = tmp_path / "node.creds"
    creds.write_text(Trust().creds(expires=END_S))
    store = open_store(tmp_path / "store.sqlite", "n1", "boot", 1, reserve_bytes=4096)
    life = Life(creds, store)
    running = asyncio.create_task(life.part.run())
    assert await life.looked() == 60.0
    for left_s in (29.0 * DAY_S, 28.0 * DAY_S, 6.0 * DAY_S, 30.0):
        wait_s = await life.looks_at(left_s)
    assert 30.0 < wait_s < 31.0  # the end itself is not told a minute late
    assert await thresholds(store) == [30 * DAY_S, 7 * DAY_S, HOUR_S]
    running.cancel()

    life = Life(creds, store)
    life.left_s = 20.0
    running = asyncio.create_task(life.part.run())
    await life.looked()
    await life.looks_at(-1.0)
    assert (await thresholds(store))[3:] == [0]
    assert (life.part.expire_at or "").startswith("2030-03-17T17:46:40")
    assert life.renewed == 0

    creds.write_text(Trust().creds(expires=END_S + 5 * DAY_S))
    await life.looks_at(-1.0)
    assert (await thresholds(store))[4:] == [7 * DAY_S]
    assert life.renewed == 1
    running.cancel()
    await store.close()
