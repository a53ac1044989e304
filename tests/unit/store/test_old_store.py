"""A store of the first schema is brought up to this one: nothing in it is lost."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from tests.support.old_store import make_schema_1, rewrite_as_schema_1, schema_of
from tests.unit.store.test_store import NOW, container, draft, opened

from wharfside_agent.core.actors import NOBODY
from wharfside_agent.ports.rows import CommandPhase, CommandRow, LaneRow
from wharfside_agent.store.schema import SCHEMA_VERSION
from wharfside_protocol.events import Event

encode = msgspec.msgpack.encode


def old(path: Path) -> None:
    """Rows as bytes of the first version: only the fields that it knew."""
    web = encode(container("web", "A"))
    done = CommandRow(
        id="done-1234",
        op="create",
        digest="d",
        phase=CommandPhase.DONE,
        received_at=NOW,
        result=b"r",
        finished_at=NOW,
    )
    event = Event(
        event_id="E1",
        node="n1",
        node_id="ID",
        boot_id="boot-1",
        epoch=7,
        seq=1,
        container="web",
        type="created",  # type: ignore[arg-type]
        occurred_at="2026-01-31T09:00:00Z",
        observed_at="2026-01-31T09:00:00Z",
    )
    db = make_schema_1(path)
    known = {"node": "n1", "node_id": "ID", "boot_id": "boot-1", "epoch": "7", "seq": "1"}
    db.executemany("INSERT INTO meta VALUES (?, ?)", known.items())
    db.execute("INSERT INTO containers VALUES ('A', 'web', NULL, ?)", (web,))
    db.execute("INSERT INTO commands VALUES ('done-1234', 'done', ?, ?)", (NOW, encode(done)))
    db.execute("INSERT INTO outbox VALUES (5, 7, 1, 'web', ?, NULL)", (encode(event),))
    db.execute("INSERT INTO lanes VALUES ('web', 3, 7, 1)")
    db.close()


async def test_everything_is_there_after_the_migration(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    old(path)
    store = opened(tmp_path)
    identity = store.identity
    assert (identity.node_id, identity.epoch) == ("ID", 7)
    assert not (identity.new_store or identity.new_boot or identity.moved)
    rows = await store.transact(lambda tx: tx.containers())
    assert [row.name for row in rows] == ["web"]
    command = await store.transact(lambda tx: tx.command("done-1234"))
    assert command is not None
    assert command.result == b"r"
    (waiting,) = await store.transact(lambda tx: tx.outbox(0, 10))
    assert (waiting.place, waiting.lane, waiting.last_acked) == (5, "web", 3)
    appended = await store.transact(lambda tx: tx.append_event(draft("web")))
    event = msgspec.msgpack.decode(appended.event, type=Event)
    assert (event.seq, event.prev_seq, appended.place) == (2, 1, 6)
    await store.close()
    assert schema_of(path) == SCHEMA_VERSION


async def test_an_old_store_knows_all_that_was_done_and_by_whom_as_far_as_was_kept(
    tmp_path: Path,
) -> None:
    old(tmp_path / "store.sqlite")
    store = opened(tmp_path)
    assert store.identity.remembers_since == 0
    command = await store.transact(lambda tx: tx.command("done-1234"))
    assert command is not None
    assert command.given_by == NOBODY
    assert await store.transact(lambda tx: tx.audits(10)) == []
    await store.close()


async def test_what_is_rewritten_is_read_again(tmp_path: Path) -> None:
    """The builder that the upgrade's test stands on."""
    store = opened(tmp_path)
    await store.transact(lambda tx: tx.save_container(container("web", "A")))
    await store.transact(lambda tx: tx.append_event(draft("web")))
    await store.transact(lambda tx: tx.save_lane(LaneRow(lane="web", last_acked=9)))
    node_id = store.identity.node_id
    await store.close()
    path = tmp_path / "store.sqlite"
    rewrite_as_schema_1(path)
    assert schema_of(path) == 1
    store = opened(tmp_path)
    assert store.identity.node_id == node_id
    assert not store.identity.moved
    (waiting,) = await store.transact(lambda tx: tx.outbox(0, 10))
    assert waiting.last_acked == 9
    await store.close()
    assert schema_of(path) == SCHEMA_VERSION


@pytest.mark.parametrize("copied", [True, False])
async def test_a_copy_of_a_store_is_noticed(tmp_path: Path, copied: bool) -> None:
    await opened(tmp_path).close()
    path = tmp_path / "store.sqlite"
    if copied:
        kept = path.rename(tmp_path / "original")
        path.write_bytes(kept.read_bytes())
    store = opened(tmp_path)
    assert store.identity.moved is copied
    await store.close()
    store = opened(tmp_path)
    assert not store.identity.moved
    await store.close()
