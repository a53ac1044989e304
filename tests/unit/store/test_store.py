"""The store: what is committed is kept whole, what fails is undone alone, epochs only rise."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from wharfside_agent.core.actors import Actor
from wharfside_agent.disk_pace import SLOW_S
from wharfside_agent.ports.rows import (
    AuditRow,
    CommandPhase,
    CommandRow,
    ContainerRow,
    EventDraft,
    LaneRow,
    OutboxRow,
    ProcessRow,
)
from wharfside_agent.ports.store import Tx
from wharfside_agent.store import writer
from wharfside_agent.store.identity import ForeignStore
from wharfside_agent.store.opening import open_store
from wharfside_agent.store.schema import SCHEMA_VERSION, SchemaTooNew
from wharfside_agent.store.writer import SqliteStore
from wharfside_protocol.codec import decode
from wharfside_protocol.errors import Busy
from wharfside_protocol.events import Event, EventType
from wharfside_protocol.specs import ContainerSpec, Source
from wharfside_protocol.states import ContainerState, ProcessState

SECOND = 1_000_000_000
NOW = 1_800_000_000 * SECOND
INCARNATION = "01JD0000000000000000000000"


def opened(folder: Path, *, node: str = "n1", boot: str = "boot-1", now: int = NOW) -> SqliteStore:
    return open_store(folder / "store.sqlite", node, boot, now)


def container(name: str, incarnation: str, *, deleted_at: int | None = None) -> ContainerRow:
    return ContainerRow(
        name=name,
        incarnation=incarnation,
        run=1,
        revision=1,
        state=ContainerState.DELETED if deleted_at else ContainerState.CREATED,
        spec=ContainerSpec(source=Source(rootfs="/rootfs")),
        runtime="crun",
        bundle="/b",
        cgroup="/c",
        created_at=NOW,
        deleted_at=deleted_at,
    )


def draft(name: str | None = "web", type_: EventType = EventType.CREATED) -> EventDraft:
    return EventDraft(type=type_, container=name, occurred_at=NOW, observed_at=NOW)


def events(rows: Sequence[OutboxRow]) -> list[Event]:
    return [decode(row.event, Event) for row in rows]


async def test_a_retired_run_may_go_a_day_later_and_the_present_one_stays(
    tmp_path: Path,
) -> None:
    store = opened(tmp_path)
    rows = [
        ProcessRow(incarnation=INCARNATION, run=run, process="init", state=ProcessState.EXITED)
        for run in (1, 2)
    ]

    def change(tx: Tx) -> None:
        for row in rows:
            tx.save_process(row)
        tx.retire_run(INCARNATION, 1, 100)

    await store.transact(change)
    await store.transact(lambda tx: tx.prune(100, 0))
    assert await store.transact(lambda tx: tx.processes(INCARNATION, 1)) == [rows[0]]
    await store.transact(lambda tx: tx.prune(101, 0))
    assert await store.transact(lambda tx: tx.processes(INCARNATION, 1)) == []
    assert await store.transact(lambda tx: tx.processes(INCARNATION, 2)) == [rows[1]]
    await store.close()


async def test_a_change_survives_a_restart(tmp_path: Path) -> None:
    store = opened(tmp_path)
    await store.transact(lambda tx: tx.save_container(container("web", "A")))
    await store.close()
    store = opened(tmp_path)
    found = await store.transact(lambda tx: tx.containers())
    await store.close()
    assert [row.name for row in found] == ["web"]


async def test_lives_that_end_by_a_kill_do_not_let_the_log_grow(tmp_path: Path) -> None:
    """Each is killed long before it would checkpoint."""
    sizes = []
    for life in range(4):
        folder = tmp_path / str(life)
        store = opened(folder)
        for number in range(30):
            row = container(f"c{life}-{number}", f"{life}-{number}")
            await store.transact(lambda tx, row=row: tx.save_container(row))
        sizes.append((folder / "store.sqlite-wal").stat().st_size)
        shutil.copytree(folder, tmp_path / str(life + 1))  # as the kill leaves it
        await store.close()
    store = opened(tmp_path / "4")
    assert len(await store.transact(lambda tx: tx.containers())) == 120
    await store.close()
    assert sizes[3] < 2 * sizes[0], sizes


async def test_a_change_that_raises_is_undone_alone(tmp_path: Path) -> None:
    store = opened(tmp_path)

    def broken(tx: Tx) -> None:
        tx.save_container(container("bad", "B"))
        tx.append_event(draft("bad"))
        raise ValueError("no")

    told: list[OutboxRow] = []
    store.on_appended(told.extend)
    results = await asyncio.gather(
        store.transact(lambda tx: tx.append_event(draft("a"))),
        store.transact(broken),
        store.transact(lambda tx: tx.append_event(draft("b"))),
        return_exceptions=True,
    )
    kept = await store.transact(lambda tx: tx.outbox(0, 10))
    await store.close()
    assert isinstance(results[1], ValueError)
    assert [(each.container, each.seq) for each in events(kept)] == [("a", 1), ("b", 2)]
    assert [row.place for row in told] == [row.place for row in kept]


async def test_seq_is_gapless_and_prev_seq_is_the_same_containers(tmp_path: Path) -> None:
    store = opened(tmp_path)
    for name in ("a", "b", "a", None, "a"):
        await store.transact(lambda tx, name=name: tx.append_event(draft(name)))
    found = events(await store.transact(lambda tx: tx.outbox(0, 10)))
    await store.close()
    assert [each.seq for each in found] == [1, 2, 3, 4, 5]
    assert [each.prev_seq for each in found] == [None, None, 1, None, 3]
    assert len({each.event_id for each in found}) == 5


async def test_published_through_stops_before_what_still_waits(tmp_path: Path) -> None:
    store = opened(tmp_path)
    rows = [await store.transact(lambda tx: tx.append_event(draft())) for _ in range(3)]
    assert await store.transact(lambda tx: tx.published_through()) == 0
    await store.transact(lambda tx: tx.forget_event(rows[0].place))
    await store.transact(lambda tx: tx.forget_event(rows[2].place))
    assert await store.transact(lambda tx: tx.published_through()) == 1
    await store.transact(lambda tx: tx.forget_event(rows[1].place))
    assert await store.transact(lambda tx: tx.published_through()) == 3
    await store.close()


@pytest.mark.parametrize(
    ("boot", "now", "epoch"),
    [("boot-1", NOW + 99 * SECOND, 0), ("boot-2", NOW + 99 * SECOND, 99), ("boot-2", 5, 1)],
    ids=["same boot", "new boot", "new boot, clock stepped back"],
)
async def test_the_epoch_rises_with_a_boot_whatever_the_clock_says(
    tmp_path: Path, boot: str, now: int, epoch: int
) -> None:
    store = opened(tmp_path)
    await store.transact(lambda tx: tx.append_event(draft()))
    first = store.identity
    await store.close()
    store = opened(tmp_path, boot=boot, now=now)
    second = store.identity
    row = await store.transact(lambda tx: tx.append_event(draft()))
    await store.close()
    assert second.epoch - first.epoch == epoch
    assert second.node_id == first.node_id
    assert first.new_store and not first.new_boot
    assert second.new_boot == (boot != "boot-1")
    assert decode(row.event, Event).seq == (2 if epoch == 0 else 1)
    assert row.place == 2


async def test_two_living_containers_never_share_a_name(tmp_path: Path) -> None:
    store = opened(tmp_path)
    await store.transact(lambda tx: tx.save_container(container("web", "A")))
    with pytest.raises(sqlite3.IntegrityError):
        await store.transact(lambda tx: tx.save_container(container("web", "B")))
    await store.transact(lambda tx: tx.save_container(container("web", "A", deleted_at=NOW)))
    await store.transact(lambda tx: tx.save_container(container("web", "B")))
    last = await store.transact(lambda tx: tx.last_of_name("web"))
    await store.close()
    assert last is not None and last.incarnation == "B"


async def test_a_lane_keeps_its_ack_beside_its_events(tmp_path: Path) -> None:
    store = opened(tmp_path)
    first = await store.transact(lambda tx: tx.append_event(draft()))
    await store.transact(lambda tx: tx.save_lane(LaneRow(lane="web", last_acked=7)))
    second = await store.transact(lambda tx: tx.append_event(draft()))
    assert (first.last_acked, second.last_acked) == (None, 7)
    read = await store.transact(lambda tx: tx.outbox(0, 10))
    assert [(row.place, row.last_acked) for row in read] == [(first.place, 7), (second.place, 7)]
    assert await store.transact(lambda tx: tx.last_seq("web")) == 2
    await store.close()


async def test_pruning_takes_only_what_is_old(tmp_path: Path) -> None:
    store = opened(tmp_path)

    def fill(tx: Tx) -> None:
        tx.save_container(container("old", "A", deleted_at=10))
        tx.save_container(container("new", "B", deleted_at=30))
        tx.save_container(container("alive", "C"))
        done = CommandRow(
            id="commands", op="start", digest="d", phase=CommandPhase.DONE, received_at=1
        )
        tx.save_command(done)

    await store.transact(fill)
    assert await store.transact(lambda tx: tx.prune(20, 20)) == 1
    assert await store.transact(lambda tx: tx.container("A")) is None
    assert await store.transact(lambda tx: tx.container("B")) is not None
    assert await store.transact(lambda tx: tx.command("commands")) is not None
    await store.close()


async def test_a_store_of_another_node_is_refused_and_left_alone(tmp_path: Path) -> None:
    store = opened(tmp_path)
    await store.close()
    with pytest.raises(ForeignStore, match="belongs to node 'n1'"):
        opened(tmp_path, node="n2")
    store = opened(tmp_path)
    assert store.identity.node == "n1"
    await store.close()


async def test_a_store_of_a_later_schema_is_refused(tmp_path: Path) -> None:
    store = opened(tmp_path)
    await store.close()
    with sqlite3.connect(tmp_path / "store.sqlite") as db:
        db.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    db.close()
    with pytest.raises(SchemaTooNew, match="a newer"):
        opened(tmp_path)


async def test_what_waits_for_the_disk_stays_before_what_comes_after_it(tmp_path: Path) -> None:
    store = opened(tmp_path)
    await asyncio.gather(
        store.transact(lambda tx: tx.append_event(draft("a")), durable=True),
        store.transact(lambda tx: tx.append_event(draft("b"))),
        store.transact(lambda tx: tx.append_event(draft("c")), durable=True),
        store.transact(lambda tx: tx.append_event(draft("d"))),
    )
    await store.transact(lambda tx: tx.append_event(draft("e")))
    kept = events(await store.transact(lambda tx: tx.outbox(0, 10)))
    await store.close()
    assert [(each.container, each.seq) for each in kept] == [
        ("a", 1),
        ("b", 2),
        ("c", 3),
        ("d", 4),
        ("e", 5),
    ]


async def test_a_slow_disk_does_not_hold_up_the_loop(tmp_path: Path) -> None:
    """Once a commit was slow, the thread has the next ones: the loop turns meanwhile."""
    store = opened(tmp_path)
    loops_thread = threading.get_ident()
    await store.transact(lambda _tx: time.sleep(2 * SLOW_S))  # as a full page cache would
    on = await store.transact(lambda _tx: threading.get_ident())
    await store.close()
    assert on != loops_thread


async def test_the_log_is_brought_into_the_database_and_begun_anew(tmp_path: Path) -> None:
    store = opened(tmp_path)

    async def commit(count: int) -> int:
        for _ in range(count):
            await store.transact(lambda tx: tx.set_meta("x", "y" * 2000))
        return (tmp_path / "store.sqlite-wal").stat().st_size

    once = await commit(writer.CHECKPOINT_COMMITS)
    after = await commit(3 * writer.CHECKPOINT_COMMITS)
    await store.close()
    assert after < 1.5 * once


async def test_a_closed_store_says_busy(tmp_path: Path) -> None:
    store = opened(tmp_path)
    await store.close()
    with pytest.raises(Busy):
        await store.transact(lambda tx: tx.containers())


async def test_audits_wait_in_order_until_they_are_told(tmp_path: Path) -> None:
    store = opened(tmp_path)

    def add(tx: Tx) -> None:
        for id_ in ("a", "b", "c"):
            tx.audit(AuditRow(at=NOW, op="stop", outcome="ok", actor=Actor("ci"), command=id_))

    await store.transact(add)
    (first, row), *_ = await store.transact(lambda tx: tx.audits(2))
    assert (row.command, row.actor) == ("a", Actor("ci"))
    await store.transact(lambda tx: tx.forget_audits(first))
    assert await store.transact(lambda tx: tx.trim_audits(1)) == 1
    left = await store.transact(lambda tx: tx.audits(10))
    assert [row.command for _place, row in left] == ["c"]
    await store.transact(lambda tx: tx.forget_audits(left[0][0]))
    assert await store.transact(lambda tx: tx.trim_audits(1)) == 0
    await store.close()


async def test_since_when_a_store_knows_what_was_done(tmp_path: Path) -> None:
    """From its beginning, or from when it was restored; never from a time to come."""
    store = opened(tmp_path)
    assert store.identity.remembers_since == NOW
    await store.close()
    store = opened(tmp_path, now=NOW + SECOND)
    assert store.identity.remembers_since == NOW
    await store.close()
    store = opened(tmp_path, now=NOW - SECOND)
    assert store.identity.remembers_since == NOW - SECOND
    await store.close()
    path = tmp_path / "store.sqlite"
    shutil.copy(path, tmp_path / "copy")
    (tmp_path / "copy").rename(path)
    store = opened(tmp_path, now=NOW + 5 * SECOND)
    assert (store.identity.moved, store.identity.remembers_since) == (True, NOW + 5 * SECOND)
    await store.close()
