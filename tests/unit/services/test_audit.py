"""What is told of commands, against a real store: all that acts, once, in batches."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from wharfside_agent.core.actors import Actor
from wharfside_agent.core.denials import FLOOD
from wharfside_agent.host import SystemClock
from wharfside_agent.ports.store import Tx
from wharfside_agent.services.commands.audit import AT_ONCE, KEPT, Audit, Wanted
from wharfside_agent.services.commands.book import Commands
from wharfside_agent.services.journal import Journal
from wharfside_agent.store.opening import open_store
from wharfside_agent.store.writer import SqliteStore
from wharfside_protocol.envelope import Command
from wharfside_protocol.errors import Busy, Denied, WharfsideError
from wharfside_protocol.events import Event
from wharfside_protocol.node_commands import Pong
from wharfside_protocol.ops import OPS
from wharfside_protocol.times import to_timestamp

CI = Actor("ci", "deployer", proven=True, key="UKEY")
VALUE = Pong(node="n1", at=to_timestamp(0), epoch=1)


class Life:
    """A book and its audit on one store."""

    def __init__(self, store: SqliteStore, wanted: Wanted = "all") -> None:
        self.store = store
        self.book = Commands(store, SystemClock(), "n1")
        self.audit = Audit(store, SystemClock(), Journal(), wanted)
        self.book.audit_by(self.audit.keep)

    async def does(
        self, id_: str, *, op: str = "pause", error: WharfsideError | None = None, actor: Actor = CI
    ) -> None:
        call = self.book.new_call(Command(id=id_, op=op, node="n1", args={"container": "web"}))
        call.actor = actor
        assert await self.book.accept(call) is call
        result = self.book.answers.failure(call, error.to_body()) if error else None
        await self.book.finish(call, result or self.book.answers.success(call, VALUE))

    async def told(self) -> list[dict[str, Any]]:
        """The facts of each event."""
        await self.audit.tell()
        rows = await self.store.transact(lambda tx: tx.outbox(0, 100))
        events = [msgspec.msgpack.decode(row.event, type=Event) for row in rows]
        assert {event.type for event in events} <= {"audit"}
        return [event.data for event in events]

    async def records(self) -> list[dict[str, Any]]:
        return [record for data in await self.told() for record in data["records"]]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = open_store(tmp_path / "store.sqlite", "n1", "boot", 0, max_events=20)
    yield store
    await store.close()


async def test_who_did_what_to_what_and_what_came_of_it(store: SqliteStore) -> None:
    life = Life(store)
    await life.does("command-1")
    await life.does("command-2", error=Denied("no"), actor=Actor("eve"))
    first, second = await life.records()
    assert first == first | {
        "op": "pause",
        "outcome": "ok",
        "actor": "ci",
        "role": "deployer",
        "proven": True,
        "key": "UKEY",
        "container": "web",
        "command": "command-1",
        "count": 1,
    }
    assert (second["actor"], second["proven"], second["outcome"]) == ("eve", False, "denied")
    assert len(await life.told()) == 1


async def test_a_later_life_tells_what_the_one_before_it_could_not(store: SqliteStore) -> None:
    await Life(store).does("command-1")
    later = Life(store)
    assert [each["command"] for each in await later.records()] == ["command-1"]
    assert [each["command"] for each in await Life(store).records()] == ["command-1"]


async def test_a_command_that_died_with_its_life_is_told_under_its_actor(
    store: SqliteStore,
) -> None:
    life = Life(store)
    call = life.book.new_call(Command(id="command-1", op="pause", node="n1"))
    call.actor = CI
    await life.book.accept(call)
    later = Life(store)
    await later.book.close_unfinished()
    (record,) = await later.records()
    assert (record["outcome"], record["key"]) == ("canceled", "UKEY")


async def test_what_was_turned_away_is_not_told(store: SqliteStore) -> None:
    life = Life(store)
    call = life.book.new_call(Command(id="command-1", op="pause", node="n1"))
    await life.book.accept(call)
    await life.book.turn_away(call, life.book.answers.failure(call, Busy("later").to_body()))
    assert await life.told() == []


async def test_many_go_in_batches(store: SqliteStore) -> None:
    life = Life(store)
    for number in range(AT_ONCE + 1):
        await life.does(f"command-{number}")
    assert [len(data["records"]) for data in await life.told()] == [AT_ONCE, 1]


async def test_denials_at_the_door_are_merged_and_stand_beside_the_rest(
    store: SqliteStore,
) -> None:
    life = Life(store)
    command = Command(id="command-9", op="run", node="n1", args={"container": "x" * 5000})
    for _ in range(500):
        life.audit.denied(command, Actor("eve"), Denied("no", rule="trust.keys"))
    await life.does("command-1")
    done, denied = await life.records()
    assert done["outcome"] == "ok"
    assert (denied["actor"], denied["rule"], denied["count"]) == ("eve", "trust.keys", 500)
    assert (denied["op"], len(denied["container"])) == ("run", 63)


async def test_denials_that_wait_for_their_turn_are_told_on_the_way_down(
    store: SqliteStore,
) -> None:
    life = Life(store)
    command = Command(id="command-1", op="run", node="n1")
    for _ in range(FLOOD):
        life.audit.denied(command, Actor("eve"), Denied("no", rule="trust.keys"))
    assert [each["count"] for each in await life.records()] == [FLOOD]
    life.audit.denied(command, Actor("mallory"), Denied("no", rule="trust.keys"))
    await life.audit.tell(last=True)
    assert [each["actor"] for each in await life.records()] == ["eve", "mallory"]


async def test_denials_of_what_was_asked_for_are_merged_by_actor_and_rule(
    store: SqliteStore,
) -> None:
    """A flood of commands that a container's rule denies must not fill the stream, either."""
    life = Life(store)
    mounts, hooks = Denied("no", rule="policy.mount_types"), Denied("no", rule="policy.hooks")
    for number in range(AT_ONCE // 2):
        await life.does(f"command-{number}", error=mounts)
        await life.does(f"other-{number}", error=hooks, actor=Actor("eve"))
    await life.does("command-last")
    await life.does("command-late")
    told = [(each["actor"], each.get("rule"), each["count"]) for each in await life.records()]
    assert told == [
        ("ci", "policy.mount_types", AT_ONCE // 2),
        ("eve", "policy.hooks", AT_ONCE // 2),
        ("ci", None, 1),
        ("ci", None, 1),
    ]


async def test_sessions_that_reach_in_are_told_and_reads_are_not(store: SqliteStore) -> None:
    life = Life(store)
    for op in ("attach", "put-archive", "cancel", "logs", "list"):
        call = life.book.new_call(Command(id=f"command-{op}", op=op, node="n1"))
        await life.audit.answered(OPS[op], call, life.book.answers.success(call, VALUE))
    told = [each["op"] for each in await life.records()]
    assert told == ["attach", "put-archive", "cancel"]


@pytest.mark.parametrize(("wanted", "told"), [("denials", ["denied"] * 2), ("none", [])])
async def test_less_may_be_wanted(store: SqliteStore, wanted: Wanted, told: list[str]) -> None:
    life = Life(store, wanted)
    await life.does("command-1")
    await life.does("command-2", error=Denied("no"))
    life.audit.denied(Command(id="command-3", op="run", node="n1"), Actor("eve"), Denied("no"))
    assert [each["outcome"] for each in await life.records()] == told


async def test_a_full_outbox_is_waited_for_and_bounds_what_waits(store: SqliteStore) -> None:
    store.room.waiting = store.room.max_events
    life = Life(store)
    await life.does("command-1")

    def many(tx: Tx) -> None:
        ((_place, row),) = tx.audits(1)
        for _ in range(KEPT + 5):
            tx.audit(row)

    await store.transact(many)
    assert await life.told() == []
    store.room.waiting = 0
    told = await life.told()
    assert sum(len(data["records"]) for data in told) <= KEPT
    assert told[0]["lost"] == 6
    assert all(data["lost"] == 0 for data in told[1:])
