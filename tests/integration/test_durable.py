"""Durable commands: kept while the node is away, done once, told once; the same ids as over rpc."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.integration.bounds import BOUND_S, bounded
from tests.integration.client_kit import opened_bus
from tests.integration.gates import Gates
from tests.integration.raw import new_id
from tests.integration.world import Site, World, command, kill, open_site, start, stop
from tests.support.agent import AgentProcess
from tests.support.eventually import eventually

from wharfside_client import NodeUnreachable, Pending
from wharfside_client.jetstream import JetStream
from wharfside_protocol.assets import CMD
from wharfside_protocol.command_base import ContainerArgs
from wharfside_protocol.envelope import Expect
from wharfside_protocol.errors import (
    Canceled,
    Conflict,
    DeadlineExceeded,
    ErrorCode,
    Stale,
    Unsupported,
    WrongState,
)
from wharfside_protocol.times import to_timestamp

WAIT_S = BOUND_S


@pytest.fixture(autouse=True)
async def mailbox(world: World, gated_agent: AgentProcess) -> AsyncIterator[None]:
    """The module's node has one."""
    async with open_site(world, gated_agent) as site:
        await site.fleet.setup.add_node("n1")
        await has_mailbox(site, "ok")
    yield


async def has_mailbox(site: Site, state: str) -> None:
    async def so() -> bool:
        return (await site.node.info(unreachable_s=WAIT_S)).mailbox == state

    await eventually(so, f"mailbox {state}", within_s=WAIT_S)


async def lose_mailbox(site: Site) -> None:
    """Somebody deletes it while a pull of the node lies there, which is told so. What is deleted
    between two pulls is `offline`: nobody tells the node that it is gone (architecture.md).
    """
    consumer = f"{CMD}.{site.agent.name}"
    async with opened_bus(site.world.server.url) as bus:

        async def asked() -> bool:
            told = await JetStream(bus).api(f"CONSUMER.INFO.{consumer}")
            return bool(told["num_waiting"])

        for _ in range(5):  # a pull may end in this very moment
            await eventually(asked, "a pull lies there", within_s=WAIT_S)
            await JetStream(bus).api(f"CONSUMER.DELETE.{consumer}")
            await eventually(lambda: _mailbox_is_not(site, "ok"), "it is lost", within_s=WAIT_S)
            if await _mailbox_is_not(site, "offline"):
                return
            await site.fleet.setup.add_node(site.agent.name)
            await has_mailbox(site, "ok")
    raise AssertionError("no pull was there five times")


async def _mailbox_is_not(site: Site, state: str) -> bool:
    return (await site.node.info(unreachable_s=WAIT_S)).mailbox != state


async def test_it_is_done_and_told_once(gated: Site) -> None:
    name, id_ = gated.name(), new_id()
    async with gated.node.posted(id_) as posted:
        made = await gated.node.request(
            "run", gated.spec(name), command_id=id_, durable=True, timeout_s=WAIT_S
        )
        accepted = await posted.accepted(WAIT_S)
    assert made.ok
    assert (made.replayed, accepted.op, accepted.digest) == (False, "run", made.digest)
    state = await gated.node.result(id_)
    assert (state.state, state.result) == ("done", made)
    await gated.told.event(name, "started", cause=id_)
    assert gated.told.types(name) == ["created", "started"]


async def test_the_result_is_read_without_the_node(
    gated: Site, gated_agent: AgentProcess, gates: Gates
) -> None:
    name, id_ = await gated.run(), new_id()
    await gated.node.pause(name, command_id=id_, durable=True, timeout_s=WAIT_S)
    assert await stop(gated_agent) == 0
    try:
        state = await gated.node.result(id_)
        assert (state.op, state.state) == ("pause", "done")
        with pytest.raises(NodeUnreachable):
            await gated.node.result(new_id())
    finally:
        await start(gated_agent, **gates.environment)


async def test_sent_while_the_node_is_away(
    gated: Site, gated_agent: AgentProcess, gates: Gates
) -> None:
    name = gated.name()
    await kill(gated_agent)
    sent = [
        await gated.node.post("create", gated.spec(name)),
        await gated.node.post("start", ContainerArgs(container=name)),
        await gated.node.post("pause", ContainerArgs(container=name)),
    ]
    with pytest.raises(Pending) as pending:
        await gated.node.resume(name, durable=True, timeout_s=0)
    assert not any(posted.duplicate for posted in sent)
    await start(gated_agent, **gates.environment)
    for posted in sent:
        async with posted:
            assert (await posted.result(WAIT_S)).ok
    async with gated.node.posted(pending.value.details["command"]) as last:
        assert (await last.result(WAIT_S)).ok
    await gated.told.event(name, "resumed")
    assert gated.told.types(name) == ["created", "started", "paused", "resumed"]


async def test_one_id_over_both_lanes_is_replayed(gated: Site) -> None:
    name, id_ = await gated.run(), new_id()
    args = ContainerArgs(container=name)
    durable = await gated.node.request(
        "pause", args, command_id=id_, durable=True, timeout_s=WAIT_S
    )
    again = await gated.node.request("pause", args, command_id=id_)
    assert (again.replayed, again.value) == (True, durable.value)

    other = new_id()
    first = await gated.node.request("resume", args, command_id=other)
    told = await gated.node.request(
        "resume", args, command_id=other, durable=True, timeout_s=WAIT_S
    )
    assert first.ok
    assert (told.value, told.timings) == (first.value, first.timings)
    await gated.told.event(name, "resumed")
    assert gated.told.types(name) == ["created", "started", "paused", "resumed"]


async def test_a_durable_repeat_joins_one_that_runs_over_rpc(gated: Site, gates: Gates) -> None:
    name, id_ = await gated.run(), new_id()
    args = ContainerArgs(container=name)
    with gates.hold("pause") as held:
        first = asyncio.create_task(gated.node.request("pause", args, command_id=id_))
        await held.ready()
        async with await gated.node.post("pause", args, command_id=id_) as posted:
            await posted.accepted(WAIT_S)
            assert not first.done()
            held.go()
            joined = await posted.result(WAIT_S)
    assert (await bounded(first, "pause")).value == joined.value
    await gated.told.event(name, "paused")
    assert gated.told.types(name).count("paused") == 1


async def test_an_rpc_repeat_joins_a_durable_one(gated: Site, gates: Gates) -> None:
    name, id_ = await gated.run(), new_id()
    args = ContainerArgs(container=name)
    with gates.hold("pause") as held:
        async with await gated.node.post("pause", args, command_id=id_) as posted:
            await held.ready()
            second = asyncio.create_task(gated.node.request("pause", args, command_id=id_))
            assert (await gated.node.result(id_)).state == "running"
            held.go()
            result = await posted.result(WAIT_S)
    assert (await bounded(second, "pause")).value == result.value


@pytest.mark.parametrize("first_durable", [True, False])
async def test_another_command_under_the_id_is_a_conflict(gated: Site, first_durable: bool) -> None:
    name, id_ = await gated.run(), new_id()
    await gated.node.pause(name, command_id=id_, durable=first_durable, timeout_s=WAIT_S)
    with pytest.raises(Conflict):
        await gated.node.resume(name, command_id=id_, durable=True, timeout_s=WAIT_S)
    with pytest.raises(Conflict):
        await gated.node.resume(name, command_id=id_)
    assert (await gated.node.inspect(name)).state == "paused"


async def test_a_stale_one_is_told_so(gated: Site) -> None:
    name = gated.name()
    made = await gated.make(name)
    expect = Expect(incarnation=made.incarnation, revision=made.revision + 1)
    with pytest.raises(Stale):
        await gated.node.pause(name, expect=expect, durable=True, timeout_s=WAIT_S)
    assert (await gated.node.inspect(name)).state == "running"


async def test_a_deadline_that_has_passed_when_it_comes(gated: Site) -> None:
    name, id_ = await gated.run(), new_id()
    with pytest.raises(DeadlineExceeded, match="nothing was done") as late:
        await gated.node.pause(
            name, command_id=id_, deadline=to_timestamp(0), durable=True, timeout_s=WAIT_S
        )
    assert not isinstance(late.value, Pending)
    assert (await gated.node.result(id_)).state == "done"
    assert (await gated.node.inspect(name)).state == "running"


async def test_waiting_ones_are_canceled_or_run_in_the_order_sent(
    gated: Site, gates: Gates
) -> None:
    name = await gated.run()
    args = ContainerArgs(container=name)
    with gates.hold("pause") as held:
        async with await gated.node.post("pause", args) as first:
            await held.ready()
            second = await gated.node.post("resume", args)
            third = await gated.node.post("delete", args)  # wrong-state: it runs
            async with second, third:
                await third.accepted(WAIT_S)
                assert (await gated.node.result(second.id)).state == "accepted"
                assert (await gated.node.cancel(second.id)).canceled
                canceled = await second.result(WAIT_S)
                assert canceled.error is not None
                assert canceled.error.code is ErrorCode.CANCELED
                held.go()
                assert (await first.result(WAIT_S)).ok
                refused = await third.result(WAIT_S)
    assert refused.error is not None
    assert refused.error.code is ErrorCode.WRONG_STATE
    assert not (await gated.node.cancel(second.id)).canceled


async def test_a_running_one_that_waits_is_canceled(gated: Site) -> None:
    name, id_ = await gated.run(), new_id()
    waiting = asyncio.create_task(
        gated.node.exec(
            name, command("sleep 1000"), id="job", command_id=id_, durable=True, timeout_s=WAIT_S
        )
    )
    await gated.told.event(name, "exec-started", process="job")

    async def canceled() -> bool:
        return (await gated.node.cancel(id_)).canceled

    await eventually(canceled, "canceled")
    with pytest.raises(Canceled):
        await bounded(waiting, "exec")


async def test_more_than_a_lane_holds_wait_all_the_same(gated: Site, gates: Gates) -> None:
    name = await gated.run()
    args = ContainerArgs(container=name)
    with gates.hold("pause") as held:
        async with await gated.node.post("pause", args) as first:
            await held.ready()
            more = [
                await gated.node.post(op, args)
                for op in ("resume", "pause") * 3  # depth is 4
            ]
            held.go()
            assert (await first.result(WAIT_S)).ok
    for posted in more:
        async with posted:
            assert (await posted.result(WAIT_S)).ok


async def test_reads_are_refused_before_they_are_sent(gated: Site) -> None:
    with pytest.raises(Unsupported):
        await gated.node.info(durable=True)


async def test_commands_are_listed_the_last_first(gated: Site) -> None:
    name, ids = await gated.run(), [new_id() for _ in range(3)]
    await gated.node.pause(name, command_id=ids[0])
    await gated.node.resume(name, command_id=ids[1], durable=True, timeout_s=WAIT_S)
    with pytest.raises(WrongState):
        await gated.node.delete(name, command_id=ids[2])
    listed = [each for each in await gated.node.commands() if each.command in ids]
    assert [each.command for each in listed] == ids[::-1]
    assert [(each.op, each.lane, each.error) for each in listed] == [
        ("delete", "rpc", "wrong-state"),
        ("resume", "mailbox", None),
        ("pause", "rpc", None),
    ]
    assert {(each.state, each.container) for each in listed} == {("done", name)}
    assert [each.command for each in await gated.node.commands(most=1)] == ids[2:]


async def test_waiting_ones_survive_a_stop_of_the_agent(
    gated: Site, gated_agent: AgentProcess, gates: Gates
) -> None:
    """Nothing was done for them, so the next life runs them."""
    name = await gated.run()
    args = ContainerArgs(container=name)
    with gates.hold("pause") as held:
        await gated.node.post("pause", args)
        await held.ready()
        async with await gated.node.post("stop", args) as waiting:
            await waiting.accepted(WAIT_S)
            assert await stop(gated_agent) == 0
            assert (await gated.node.result(waiting.id)).state == "accepted"
    await start(gated_agent, **gates.environment)
    async with waiting:
        assert (await waiting.result(WAIT_S)).ok
    assert (await gated.told.exit(name)).reason == "stop"
