"""What no node can take: terminated with its reason, told where it can be, listed, sent again."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from typing import Any

import msgpack
import msgspec
import pytest
from nats.errors import TimeoutError as NatsTimeout
from tests.integration.client_kit import opened_bus
from tests.integration.raw import Raw, new_id
from tests.integration.test_durable import WAIT_S, has_mailbox, lose_mailbox
from tests.integration.world import Site, World, kill, open_site, start
from tests.support.agent import AgentProcess
from tests.support.eventually import eventually

from wharfside_client import Wharfside
from wharfside_client.assets import Outcome
from wharfside_client.deadletters import DeadLetter
from wharfside_client.jetstream import JetStream
from wharfside_protocol.assets import CMD, SECOND, mailbox
from wharfside_protocol.codec import decode
from wharfside_protocol.command_base import ContainerArgs
from wharfside_protocol.envelope import Command, Expect, Result
from wharfside_protocol.errors import ErrorCode, NotFound
from wharfside_protocol.subjects import Subjects
from wharfside_protocol.times import to_timestamp

S = Subjects()


@pytest.fixture(autouse=True)
async def its_mailbox(world: World, agent: AgentProcess) -> AsyncIterator[None]:
    async with open_site(world, agent) as site:
        await site.fleet.setup.add_node("n1")
        await has_mailbox(site, "ok")
    yield


async def put(site: Site, data: bytes, subject: str = S.command("n1", "pause")) -> int:
    """The sequence of a message in the mailbox."""
    async with opened_bus(site.world.server.url) as bus:
        return await JetStream(bus).publish(subject, data)


def envelope(**others: Any) -> bytes:
    good = Command(id=new_id(), op="pause", node="n1", args={"container": "c1"})
    return msgpack.packb(msgspec.to_builtins(good) | others)


async def dead(fleet: Wharfside, seq: int) -> DeadLetter:
    async def found() -> DeadLetter | None:
        listed = await fleet.dead_letters.list()
        return next((each for each in listed if each.seq == seq), None)

    letter = await eventually(found, f"dead letter {seq}", within_s=WAIT_S)
    assert letter is not None
    return letter


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1" * 10,
        b"not msgpack",
        os.urandom(4096),
        b"\x91" * 100_000,
        b"\0" * 5_000_000,
        msgpack.packb([1, 2]),
    ],
    ids=["empty", "c1", "text", "random", "nested", "5 MB", "list"],
)
async def test_what_is_no_command(site: Site, data: bytes) -> None:
    letter = await dead(site.fleet, await put(site, data))
    assert (letter.node, letter.kind, letter.command) == ("n1", "terminated", None)
    assert letter.reason is not None
    assert letter.reason.startswith("invalid: ")
    assert (await site.node.ping()).node == "n1"


@pytest.mark.parametrize(
    ("others", "code"),
    [
        ({"op": "resume"}, ErrorCode.INVALID),
        ({"node": "n2"}, ErrorCode.INVALID),
        ({"v": 99}, ErrorCode.UNSUPPORTED),
        ({"args": {}}, ErrorCode.INVALID),
        ({"args": {"container": "a.b"}}, ErrorCode.INVALID),
        ({"args": 7}, ErrorCode.INVALID),
        ({"deadline": "tomorrow"}, ErrorCode.INVALID),
        ({"deadline": to_timestamp(4_000_000_000 * 10**9)}, ErrorCode.INVALID),
    ],
)
async def test_a_bad_command_is_told_so_under_its_id(
    site: Site, others: dict[str, Any], code: ErrorCode
) -> None:
    id_ = new_id()
    letter = await dead(site.fleet, await put(site, envelope(id=id_, **others)))
    assert letter.reason is not None
    assert letter.reason.startswith(f"{code}: ")
    async with site.node.posted(id_) as posted:
        result = await posted.result(WAIT_S)
    assert result.error is not None
    assert result.error.code is code
    assert (await site.node.result(id_)).result == result


@pytest.mark.parametrize("op", ["info", "wait", "cancel", "explode"])
async def test_only_what_changes_something_goes_by_mail(site: Site, op: str) -> None:
    args = {"cancel": {"command": new_id()}, "wait": {"container": "c1"}}.get(op, {})
    seq = await put(site, envelope(op=op, args=args), S.command("n1", op))
    reason = (await dead(site.fleet, seq)).reason
    assert reason is not None
    assert reason.startswith("unsupported: ")


async def test_a_deeper_subject_of_its_own_is_foreign(site: Site) -> None:
    seq = await put(site, envelope(), f"{S.command('n1', 'pause')}.more")
    assert (await dead(site.fleet, seq)).kind == "terminated"


async def test_a_bad_one_does_not_hide_the_result_of_a_good_one(site: Site) -> None:
    """Under the id of another command: its sender is told nothing that is not its own."""
    name, id_ = await site.run(), new_id()
    first = await site.node.request(
        "pause", ContainerArgs(container=name), command_id=id_, durable=True, timeout_s=WAIT_S
    )
    await dead(site.fleet, await put(site, envelope(id=id_, args={})))
    assert (await site.node.result(id_)).result == first
    async with site.node.posted(id_) as posted:
        assert await posted.result(WAIT_S) == first


async def test_one_that_was_terminated_is_sent_again_under_another_id(site: Site) -> None:
    """The cause is gone meanwhile: here the id, which stood for something else."""
    name, id_ = await site.run(), new_id()
    await site.node.pause(name, command_id=id_)
    again = Command(id=id_, op="resume", node="n1", args={"container": name})
    data = msgpack.packb(msgspec.to_builtins(again))
    letter = await dead(site.fleet, await put(site, data, S.command("n1", "resume")))
    assert (letter.op, letter.command) == ("resume", id_)
    resent = await site.fleet.dead_letters.resend(letter.seq)
    async with site.node.posted(resent) as posted:
        assert (await posted.result(WAIT_S)).ok
    assert (await site.node.inspect(name)).state == "running"
    # Once more is a repeat.
    assert await site.fleet.dead_letters.resend(letter.seq) == resent
    with pytest.raises(NotFound):
        await site.fleet.dead_letters.resend(10**9)


async def test_a_fence_is_sent_along(site: Site) -> None:
    name, id_ = await site.run(), new_id()
    await site.node.pause(name, command_id=id_)
    again = Command(
        id=id_, op="resume", node="n1", args={"container": name}, expect=Expect(revision=1)
    )
    data = msgpack.packb(msgspec.to_builtins(again))
    letter = await dead(site.fleet, await put(site, data, S.command("n1", "resume")))
    async with site.node.posted(await site.fleet.dead_letters.resend(letter.seq)) as posted:
        result: Result = await posted.result(WAIT_S)
    assert result.error is not None
    assert result.error.code is ErrorCode.STALE


async def test_given_in_vain_and_sent_again(own: Site, own_agent: AgentProcess, raw: Raw) -> None:
    """A node that takes its letters and never acknowledges them: here nobody is there."""
    node = own_agent.name
    config = {**mailbox(S, node), "ack_wait": SECOND // 10, "max_deliver": 1}
    async with opened_bus(own.world.server.url) as bus:
        body = {"stream_name": CMD, "config": config}
        await JetStream(bus).api(f"CONSUMER.CREATE.{CMD}.{node}", body)
    posted = await own.node.post("create", own.spec("c1"))
    jetstream = raw.client.jetstream(timeout=WAIT_S)
    taker = await jetstream.pull_subscribe_bind(consumer=node, stream=CMD)
    (taken,) = await taker.fetch(1, timeout=WAIT_S)
    assert decode(taken.data, Command).id == posted.id

    async def listed() -> list[DeadLetter]:
        # The server looks at what is due when somebody asks for more.
        with contextlib.suppress(NatsTimeout):
            await taker.fetch(1, timeout=0.2)
        return await own.fleet.dead_letters.list(node)

    (letter,) = await eventually(listed, "the dead letter", within_s=WAIT_S)
    assert (letter.kind, letter.command, letter.deliveries) == ("max-deliveries", posted.id, 1)
    assert await own.fleet.dead_letters.resend(letter.seq) == posted.id
    await start(own_agent)
    async with posted:
        assert (await posted.result(WAIT_S)).ok
    await own.node.delete("c1")
    await own.told.event("c1", "deleted")
    assert await asyncio.to_thread(own_agent.stop) == 0


async def test_a_lost_mailbox_is_noticed_and_made_again(own: Site, own_agent: AgentProcess) -> None:
    await start(own_agent)
    await has_mailbox(own, "missing")
    await own.listed()
    node, name = own_agent.name, own.name()
    early = await own.node.post("create", own.spec(name))
    await own.fleet.setup.add_node(node)
    async with early:
        assert (await early.result(WAIT_S)).ok
    await has_mailbox(own, "ok")
    await lose_mailbox(own)
    await has_mailbox(own, "missing")
    started = await own.node.post("start", ContainerArgs(container=name))
    reports = {each.name: each.outcome for each in await own.fleet.setup.repair()}
    assert reports[node] == Outcome.CREATED
    async with started:
        assert (await started.result(WAIT_S)).ok
    # What had been done was delivered again, and not done again.
    await own.told.event(name, "started")
    assert own.told.types(name) == ["created", "started"]
    again = {each.name: each.outcome for each in await own.fleet.setup.repair()}
    assert again[node] == Outcome.UNCHANGED
    await own.node.delete(name, force=True)
    await own.told.event(name, "deleted")
    await own.fleet.setup.remove_node(node)
    assert node not in {each.name for each in await own.fleet.setup.repair()}
    await kill(own_agent)
