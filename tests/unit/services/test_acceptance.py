"""What comes by mail, against a real store: new, repeated, in conflict, refused; once each."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from nkeys import PREFIX_BYTE_USER, encode_seed

from wharfside_agent.core.actors import Actor
from wharfside_agent.core.policy.rules import policy_of
from wharfside_agent.core.trust import Trust, TrustedKey
from wharfside_agent.host import SystemClock
from wharfside_agent.ports.bus import Request
from wharfside_agent.ports.rows import ReportKind
from wharfside_agent.services.commands.acceptance import Acceptance, Refused, Verdict
from wharfside_agent.services.commands.book import Commands
from wharfside_agent.services.commands.intake import Checked, Intake, remaining
from wharfside_agent.services.rulebook import Rulebook
from wharfside_agent.store.opening import open_store
from wharfside_agent.store.writer import SqliteStore
from wharfside_protocol.codec import MAX_MESSAGE_BYTES, decode, encode, pack
from wharfside_protocol.digest import command_digest
from wharfside_protocol.envelope import Accepted, Command, Result
from wharfside_protocol.errors import Denied, Invalid
from wharfside_protocol.node_commands import Pong
from wharfside_protocol.ops import OPS
from wharfside_protocol.records import Record
from wharfside_protocol.signing import Signer
from wharfside_protocol.subjects import Subjects
from wharfside_protocol.times import to_timestamp

S = Subjects()
VALUE = Pong(node="n1", at=to_timestamp(0), epoch=1)


@dataclass
class Post:
    """A letter of the test's own: what is said of it is not looked at here."""

    request: Request
    said: list[str] = field(default_factory=list)

    async def ack(self) -> None:
        self.said.append("+ACK")

    async def terminate(self, reason: str) -> None:
        self.said.append(reason)


@dataclass
class Desk:
    store: SqliteStore
    commands: Commands
    acceptance: Acceptance

    async def take(self, *letters: Post) -> list[Verdict]:
        return await self.acceptance.store([self.acceptance.judge(each) for each in letters])

    async def reports(self) -> list[tuple[str, str]]:
        rows = await self.store.transact(lambda tx: tx.reports(0, 100))
        return [(row.command, str(row.kind)) for row in rows]

    async def told(self, kind: ReportKind, of: type[Record]) -> Record:
        rows = await self.store.transact(lambda tx: tx.reports(0, 100))
        return next(decode(row.payload, of) for row in rows if row.kind is kind)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    store = open_store(tmp_path / "store.sqlite", "n1", "boot", 0)
    commands = Commands(store, SystemClock(), "n1")
    intake = Intake("n1", commands, OPS, Rulebook())
    yield Desk(store, commands, Acceptance("n1", S, store, commands, intake))
    await store.close()


async def test_a_wait_has_its_time_before_the_deadline_that_nobody_gave(desk: Desk) -> None:
    intake = Intake("n1", desk.commands, OPS, Rulebook())

    def left(**more: Any) -> float:
        command = Command(id="command-1", op="wait", node="n1", args={"container": "web"} | more)
        return intake.check(command, "wait", 30.0, {}).remaining

    assert (left(), left(timeout_s=60.0), left(timeout_s=0.0)) == (60.0, 90.0, 30.0)


def letter(id_: str = "command-1", op: str = "pause", container: str = "web") -> Post:
    command = Command(id=id_, op=op, node="n1", args={"container": container})
    return Post(Request(S.command("n1", op), encode(command), {}))


async def test_a_new_one_waits_in_the_store_and_is_told(desk: Desk) -> None:
    assert await desk.take(letter()) == [Verdict.NEW]
    assert (await desk.commands.state_of("command-1")).state == "accepted"
    assert await desk.reports() == [("command-1", "accepted")]
    (row,) = await desk.store.transact(lambda tx: tx.waiting_commands())
    assert (row.container, row.durable) == ("web", True)
    assert decode(row.command or b"", Command).op == "pause"


async def test_twice_in_a_batch_and_once_more_is_one(desk: Desk) -> None:
    assert await desk.take(letter(), letter()) == [Verdict.NEW, Verdict.REPEAT]
    assert await desk.take(letter()) == [Verdict.REPEAT]
    assert await desk.reports() == [("command-1", "accepted")]


async def test_another_under_the_id_is_told_which_one_has_it(desk: Desk) -> None:
    await desk.take(letter())
    assert await desk.take(letter(container="other")) == [Verdict.CONFLICT]
    call = desk.commands.running("command-1")
    assert call is not None
    told = await desk.told(ReportKind.ACCEPTED, Accepted)
    assert isinstance(told, Accepted)
    assert told.digest == call.digest


async def test_its_result_is_told_with_what_it_tells(desk: Desk) -> None:
    await desk.take(letter())
    call = desk.commands.running("command-1")
    assert call is not None
    await desk.commands.begin(call)
    assert (await desk.commands.state_of("command-1")).state == "running"
    await desk.store.transact(lambda tx: call.settle(tx, VALUE))
    assert call.result is not None
    await desk.commands.finish(call, call.result)
    assert await desk.reports() == [("command-1", "accepted"), ("command-1", "result")]
    assert await desk.told(ReportKind.RESULT, Result) == call.result
    assert await desk.take(letter()) == [Verdict.REPEAT]
    assert desk.commands.running("command-1") is None
    assert len(await desk.reports()) == 2


async def test_one_that_came_over_rpc_is_told_too(desk: Desk) -> None:
    asked = desk.commands.new_call(
        Command(id="command-1", op="pause", node="n1", args={"container": "web"})
    )
    assert await desk.commands.accept(asked) is asked
    assert await desk.take(letter()) == [Verdict.REPEAT]
    assert await desk.reports() == [("command-1", "accepted")]
    await desk.commands.finish(asked, desk.commands.answers.success(asked, VALUE))
    assert await desk.reports() == [("command-1", "accepted"), ("command-1", "result")]


async def test_what_a_former_life_left_running_is_told_so(desk: Desk) -> None:
    await desk.take(letter())
    call = desk.commands.running("command-1")
    assert call is not None
    await desk.commands.begin(call)
    assert await Commands(desk.store, SystemClock(), "n1").close_unfinished() == 1
    told = await desk.told(ReportKind.RESULT, Result)
    assert isinstance(told, Result)
    assert told.error is not None
    assert told.error.code == "canceled"


async def test_a_cancel_before_its_turn_is_kept_for_it(desk: Desk) -> None:
    await desk.take(letter())
    assert await desk.commands.cancel("command-1")
    call = desk.commands.running("command-1")
    assert call is not None
    assert call.cancel_asked


@pytest.mark.parametrize(
    "post",
    [
        Post(Request(S.command("n1", "pause"), b"\xc1", {})),
        Post(Request(S.command("n2", "pause"), letter().request.data, {})),
        Post(Request(S.rpc("n1", "pause"), letter().request.data, {})),
        letter(op="info"),
        letter(op="explode"),
        letter(container="a.b"),
    ],
)
async def test_what_is_refused_is_told_where_it_has_an_id(desk: Desk, post: Post) -> None:
    judged = desk.acceptance.judge(post)
    assert isinstance(judged, Refused)
    await desk.acceptance.store([judged])
    expected = [] if judged.call is None else [("command-1", "result")]
    assert await desk.reports() == expected
    assert await desk.store.transact(lambda tx: tx.waiting_commands()) == []


async def test_an_op_of_any_length_cannot_keep_its_batch_from_the_store(desk: Desk) -> None:
    """What is kept of a refused one is bounded: a letter beside it would lose its deliveries."""
    data = pack({"id": "command-2", "node": "n1", "op": "x" * (MAX_MESSAGE_BYTES - 64)})
    endless = Post(Request(S.command("n1", "pause"), data, {}))
    assert await desk.take(letter(), endless) == [Verdict.NEW, Verdict.CONFLICT]
    told = await desk.told(ReportKind.RESULT, Result)
    assert isinstance(told, Result)
    assert (told.id, told.op) == ("command-2", "")


async def test_a_refused_one_never_tells_of_anothers_id(desk: Desk) -> None:
    await desk.take(letter())
    await desk.take(letter(container="a.b"))
    assert await desk.reports() == [("command-1", "accepted")]


async def test_a_signed_letter_is_its_keys_actors_in_every_life(tmp_path: Path) -> None:
    """The row tells it: a later life has no headers."""
    signer = Signer(encode_seed(bytes(32), PREFIX_BYTE_USER).decode())
    store = open_store(tmp_path / "store.sqlite", "n1", "boot", 0)
    commands = Commands(store, SystemClock(), "n1")
    trust = Trust([TrustedKey(signer.key, "ci", "deployer")], "always")
    intake = Intake("n1", commands, OPS, Rulebook(), trust)
    desk = Desk(store, commands, Acceptance("n1", S, store, commands, intake))
    deadline = to_timestamp(SystemClock().now() + 60 * 10**9)
    command = Command(
        id="command-1", op="pause", node="n1", deadline=deadline, args={"container": "web"}
    )
    digest = command_digest(command.op, command.args)
    headers = signer.headers(command, digest, SystemClock().now())
    post = Post(Request(S.command("n1", "pause"), encode(command), headers))
    assert await desk.take(post) == [Verdict.NEW]
    (row,) = await store.transact(lambda tx: tx.waiting_commands())
    assert row.given_by == Actor("ci", "deployer", proven=True, key=signer.key)
    assert row.digest == digest
    later = Commands(store, SystemClock(), "n1").enter(row, decode(row.command or b"", Command))
    assert intake.again(later, 30).call.actor == row.given_by
    assert isinstance(desk.acceptance.judge(letter()), Refused)
    await store.close()


async def test_a_letter_that_the_policy_denies_is_told_so_in_every_life(desk: Desk) -> None:
    """Also one that was accepted under rules that have grown stricter since."""
    narrow = Rulebook(policy_of({"ops": ["reads"]}))
    intake = Intake("n1", desk.commands, OPS, narrow)
    denying = Acceptance("n1", S, desk.store, desk.commands, intake)
    refused = denying.judge(letter())
    assert isinstance(refused, Refused)
    assert refused.error.details["rule"] == "policy.ops"
    await denying.store([refused])
    told = await desk.told(ReportKind.RESULT, Result)
    assert isinstance(told, Result)
    assert told.error == refused.error.to_body()
    judged = desk.acceptance.judge(letter("command-2"))
    assert isinstance(judged, Checked)
    with pytest.raises(Denied):
        intake.again(judged.call, 30)


def test_seconds_to_a_deadline() -> None:
    now = 1_800_000_000 * 10**9

    def left(seconds: int | None) -> float:
        deadline = None if seconds is None else to_timestamp(now + seconds * 10**9)
        return remaining(Command(id="command-1", op="x", node="n1", deadline=deadline), now, 30)

    assert (left(None), left(5), left(-5), left(86_400)) == (30, 5, -5, 86_400)
    with pytest.raises(Invalid):
        left(86_401)


async def test_waiting_time_counts_in_a_later_life(desk: Desk) -> None:
    judged = desk.acceptance.judge(letter())
    assert isinstance(judged, Checked)
    judged.call.received_at -= 10 * 10**9
    again = Intake("n1", desk.commands, OPS, Rulebook()).again(judged.call, 30)
    assert 15 < again.remaining <= 20
