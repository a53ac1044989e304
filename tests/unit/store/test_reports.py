"""The outbox of reports, and the order of commands."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.unit.store.test_store import NOW, opened

from wharfside_agent.ports.rows import CommandPhase, CommandRow, ReportKind, ReportRow
from wharfside_agent.ports.store import Tx


def report(command: str, kind: ReportKind, payload: bytes = b"") -> ReportRow:
    return ReportRow(command=command, kind=kind, payload=payload)


def waiting(id_: str) -> CommandRow:
    return CommandRow(
        id=id_, op="pause", digest="d", phase=CommandPhase.ACCEPTED, received_at=NOW, durable=True
    )


async def test_in_the_order_told_and_once(tmp_path: Path) -> None:
    store = opened(tmp_path)

    def tell(tx: Tx) -> None:
        tx.report(report("a", ReportKind.ACCEPTED))
        tx.report(report("b", ReportKind.ACCEPTED))
        tx.report(report("a", ReportKind.RESULT, b"first"))
        tx.report(report("a", ReportKind.RESULT, b"second"))

    await store.transact(tell)
    rows = await store.transact(lambda tx: tx.reports(0, 10))
    assert [(row.command, row.kind, row.payload) for row in rows] == [
        ("a", "accepted", b""),
        ("b", "accepted", b""),
        ("a", "result", b"first"),
    ]
    await store.transact(lambda tx: tx.forget_report(rows[0].place))
    left = await store.transact(lambda tx: tx.reports(0, 1))
    assert [row.command for row in left] == ["b"]
    await store.close()


@pytest.mark.parametrize("durable", [False, True])
async def test_a_commit_with_reports_rings(tmp_path: Path, durable: bool) -> None:
    store, rung = opened(tmp_path), asyncio.Event()
    store.on_reported(rung.set)
    await store.transact(lambda tx: tx.set_meta("key", "value"), durable=durable)
    assert not rung.is_set()
    await store.transact(lambda tx: tx.report(report("a", ReportKind.RESULT)), durable=durable)
    assert rung.is_set()
    await store.close()


async def test_waiting_commands_keep_their_order_of_arrival(tmp_path: Path) -> None:
    """Also when the first is saved once more."""
    store = opened(tmp_path)
    for id_ in ("zz", "aa", "mm"):
        await store.transact(lambda tx, id_=id_: tx.save_command(waiting(id_)))  # type: ignore[misc]
    await store.transact(lambda tx: tx.save_command(waiting("zz")))
    found = await store.transact(lambda tx: tx.waiting_commands())
    assert [row.id for row in found] == ["zz", "aa", "mm"]
    pages = []
    before = None
    while True:
        page = await store.transact(lambda tx, b=before: tx.commands_before(b, 2))  # type: ignore[misc]
        if not page:
            break
        pages.append([row.id for _, row in page])
        before = page[-1][0]
    assert pages == [["mm", "aa"], ["zz"]]
    await store.close()
