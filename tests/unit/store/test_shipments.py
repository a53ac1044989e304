"""How far logs are shipped: kept by run and process, gone with the incarnation."""

from __future__ import annotations

from pathlib import Path

import msgspec
from tests.unit.store.test_store import opened

from wharfside_agent.ports.rows import ShipmentRow


async def test_shipments_are_kept_until_their_incarnation_is_forgotten(tmp_path: Path) -> None:
    store = opened(tmp_path)
    rows = [
        ShipmentRow(incarnation=incarnation, run=run, process="init", offset=run)
        for incarnation, run in (("A", 1), ("A", 2), ("B", 1))
    ]
    for row in rows:
        await store.transact(lambda tx, row=row: tx.save_shipment(row))
    done = msgspec.structs.replace(rows[0], offset=7, sending=9, last_acked=3, done=True)
    await store.transact(lambda tx: tx.save_shipment(done))
    assert await store.transact(lambda tx: tx.shipment("A", 1, "init")) == done
    assert await store.transact(lambda tx: tx.shipment("A", 1, "e1")) is None
    assert await store.transact(lambda tx: tx.unfinished_shipments()) == rows[1:]
    await store.transact(lambda tx: tx.forget_shipments("A"))
    assert await store.transact(lambda tx: tx.unfinished_shipments()) == rows[2:]
    assert await store.transact(lambda tx: tx.shipment("A", 1, "init")) is None
    await store.close()
