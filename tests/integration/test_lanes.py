"""Lanes, deadlines and cancel: nothing waits that need not, and who waits can be let go."""

from __future__ import annotations

import asyncio
import time

import pytest
from tests.integration.bounds import bounded
from tests.integration.gates import Gates
from tests.integration.raw import Raw, new_id
from tests.integration.world import Site, command

from wharfside_client import process
from wharfside_protocol.codec import to_plain
from wharfside_protocol.command_base import ContainerArgs
from wharfside_protocol.commands import UpdateArgs
from wharfside_protocol.envelope import Result
from wharfside_protocol.errors import Canceled, DeadlineExceeded, ErrorCode, NotFound
from wharfside_protocol.specs import Limits
from wharfside_protocol.times import NANOSECONDS, to_timestamp


def of(name: str) -> ContainerArgs:
    return ContainerArgs(container=name)


def ahead(seconds: float) -> str:
    return to_timestamp(time.time_ns() + int(seconds * NANOSECONDS))


async def test_reads_wait_and_signal_pass_a_slow_command(gated: Site, gates: Gates) -> None:
    name, node = await gated.run(), gated.node
    with gates.hold("pause") as held:
        slow = asyncio.create_task(node.pause(name))
        await held.ready()
        waiting = asyncio.create_task(node.wait(name))
        await node.ping()
        await node.info()
        assert name in [view.container for view in await node.list()]
        assert (await node.inspect(name)).state == "running"
        assert len(await node.list_processes(name)) == 1
        assert (await node.stats(name)).stats.pids is not None
        await node.signal(name, "USR1")
        assert not (slow.done() or waiting.done())
        held.go()
        await bounded(slow, "pause")
    await node.delete(name, force=True)
    assert (await bounded(waiting, "wait")).exit is not None


async def test_other_containers_pass_a_slow_command(gated: Site, gates: Gates) -> None:
    slow_one, other = await gated.run(), gated.name()
    with gates.hold("pause") as held:
        slow = asyncio.create_task(gated.node.pause(slow_one))
        await held.ready()
        await gated.make(other)
        assert (await gated.node.exec(other, command("exit 0"))).exit is not None
        await gated.node.stop(other, grace_s=0)
        await gated.node.delete(other)
        assert not slow.done()
        held.go()
        await bounded(slow, "pause")


async def test_commands_of_one_container_run_in_the_order_they_came(
    gated: Site, gates: Gates
) -> None:
    name = await gated.run()
    ids = [new_id() for _ in range(4)]
    with gates.hold("pause") as held:
        first = asyncio.create_task(gated.node.pause(name, command_id=ids[0]))
        await held.ready()
        rest = []
        for op, id_ in zip(("resume", "pause", "resume"), ids[1:], strict=True):
            rest.append(asyncio.create_task(gated.node.request(op, of(name), command_id=id_)))
            await bounded(_taken(gated, id_), f"{op} to be taken")
        held.go()
        held.go()
        await bounded(asyncio.gather(first, *rest), "four commands")
    await gated.told.event(name, "resumed", nth=2)
    assert gated.told.types(name)[2:] == ["paused", "resumed", "paused", "resumed"]
    assert [event.cause for event in gated.told.of(name)[2:]] == ids


async def test_stop_and_exec_do_not_hold_the_lane_while_they_wait(gated: Site) -> None:
    name = await gated.run()
    id_ = new_id()
    long_exec = asyncio.create_task(
        gated.node.exec(name, process(["/bin/sleep", "1000"]), command_id=id_)
    )
    await gated.told.event(name, "exec-started")
    assert (await gated.node.exec(name, command("exit 2"))).exit is not None
    stopping = asyncio.create_task(gated.node.stop(name, grace_s=60))
    await gated.told.event(name, "stopping")
    await gated.node.pause(name)
    await gated.node.delete(name, force=True)
    stopped = (await bounded(stopping, "stop")).exit
    ended = (await bounded(long_exec, "exec")).exit
    assert stopped is not None
    assert ended is not None
    assert (stopped.exit_code, ended.exit_code) == (137, 137)


async def test_a_full_lane_says_busy(gated: Site, gates: Gates, raw: Raw) -> None:
    name = await gated.run()
    with gates.hold("pause") as held:
        slow = asyncio.create_task(gated.node.pause(name))
        await held.ready()
        waiting = []
        for _ in range(3):
            id_ = new_id()
            waiting.append(
                asyncio.create_task(gated.node.request("resume", of(name), command_id=id_))
            )
            await bounded(_taken(gated, id_), "a place in the lane")
        more = UpdateArgs(container=name, limits=Limits(pids=99))
        refused = await raw.command("n1", "update", to_plain(more))
        assert refused.error is not None
        assert refused.error.code is ErrorCode.BUSY
        patient = asyncio.create_task(gated.node.request("update", more, command_id=refused.id))
        held.go()
        await bounded(asyncio.gather(slow, *waiting), "the lane")
        # Busy is no result: the same command under the same id is done when there is room.
        assert (await bounded(patient, "the one turned away")).ok
    await gated.told.event(name, "updated")
    assert gated.told.types(name)[2:] == ["paused", "resumed", "updated"]


async def test_a_deadline_in_the_past_does_nothing(gated: Site) -> None:
    name, id_ = gated.name(), new_id()
    answer = await gated.node.request("run", gated.spec(name), deadline=ahead(-1), command_id=id_)
    assert answer.error is not None
    assert answer.error.code is ErrorCode.DEADLINE_EXCEEDED
    assert answer.error.stage == "waiting"
    with pytest.raises(NotFound):
        await gated.node.inspect(name)
    with pytest.raises(NotFound):
        await gated.node.result(id_)
    # Nothing was done under the id: it may still be used, in time.
    assert (await gated.node.request("run", gated.spec(name), command_id=id_)).ok


async def test_a_deadline_beyond_a_day_is_invalid(gated: Site) -> None:
    name = gated.name()
    answer = await gated.node.request("run", gated.spec(name), deadline=ahead(24 * 3600 + 60))
    assert answer.error is not None
    assert answer.error.code is ErrorCode.INVALID
    assert (await gated.node.request("run", gated.spec(name), deadline=ahead(86_000))).ok


async def test_a_deadline_while_it_runs_lets_it_go_on(gated: Site, gates: Gates) -> None:
    name, id_ = await gated.run(), new_id()
    with gates.hold("pause") as held:
        asked = gated.node.request("pause", of(name), deadline=ahead(6), command_id=id_)
        slow = asyncio.create_task(asked)
        await held.ready()
        late = await bounded(slow, "an answer at the deadline")
        assert late.error is not None
        assert (late.error.code, late.error.stage) == (ErrorCode.DEADLINE_EXCEEDED, "running")
        assert (await gated.node.result(id_)).state == "running"
        held.go()
        await gated.told.event(name, "paused", cause=id_)
    state = await gated.node.result(id_)
    assert state.result is not None
    assert state.result.ok
    again = await gated.node.request("pause", of(name), command_id=id_)
    assert (again.ok, again.replayed) == (True, True)


async def test_a_deadline_in_the_lane_ends_it_there(gated: Site, gates: Gates) -> None:
    name, id_ = await gated.run(), new_id()
    with gates.hold("pause") as held:
        slow = asyncio.create_task(gated.node.pause(name))
        await held.ready()
        late = await gated.node.request("resume", of(name), deadline=ahead(5), command_id=id_)
        assert late.error is not None
        assert (late.error.code, late.error.stage) == (ErrorCode.DEADLINE_EXCEEDED, "waiting")
        held.go()
        await bounded(slow, "pause")
    assert (await gated.node.inspect(name)).state == "paused"
    stored = (await gated.node.result(id_)).result
    assert stored is not None
    assert stored.error is not None
    assert (stored.error.code, stored.error.stage) == (ErrorCode.DEADLINE_EXCEEDED, "waiting")
    await gated.node.resume(name)
    assert [event.cause for event in gated.told.of(name)].count(id_) == 0


async def test_cancel_of_one_that_waits_in_a_lane(gated: Site, gates: Gates) -> None:
    name, id_ = await gated.run(), new_id()
    with gates.hold("pause") as held:
        slow_id = new_id()
        slow = asyncio.create_task(gated.node.pause(name, command_id=slow_id))
        await held.ready()
        waiting = asyncio.create_task(gated.node.request("resume", of(name), command_id=id_))
        await bounded(_taken(gated, id_), "its place in the lane")
        assert (await gated.node.cancel(id_)).canceled
        canceled = await bounded(waiting, "the canceled one's answer")
        assert canceled.error is not None
        assert (canceled.error.code, canceled.error.stage) == (ErrorCode.CANCELED, "waiting")
        # One that runs is not cut off half way.
        assert not (await gated.node.cancel(slow_id)).canceled
        held.go()
        await bounded(slow, "pause")
    assert (await gated.node.inspect(name)).state == "paused"
    assert not (await gated.node.cancel(id_)).canceled
    again = await gated.node.request("resume", of(name), command_id=id_)
    assert again.replayed
    assert again.error == canceled.error


async def test_cancel_of_an_exec_that_waits_leaves_the_process(gated: Site) -> None:
    name, id_ = await gated.run(), new_id()
    waiting = asyncio.create_task(
        gated.node.exec(name, process(["/bin/sleep", "1000"]), id="job", command_id=id_)
    )
    await gated.told.event(name, "exec-started")
    assert (await gated.node.cancel(id_)).canceled
    with pytest.raises(Canceled):
        await bounded(waiting, "the canceled one's answer")
    listed = {each.process: each for each in await gated.node.list_processes(name)}
    assert listed["job"].state == "running"
    await gated.node.signal(name, "KILL", process="job")
    assert (await gated.told.exit(name, "job")).exit_code == 137


async def test_cancel_of_what_never_was_is_not_found(gated: Site) -> None:
    with pytest.raises(NotFound):
        await gated.node.cancel(new_id())


async def test_a_refused_start_is_told_and_the_container_stopped(gated: Site, gates: Gates) -> None:
    name = gated.name()
    await gated.node.create(gated.spec(name))
    with gates.refuse("start", "no such luck"):
        answer = await gated.node.request("start", of(name))
    assert answer.error is not None
    assert answer.error.code is ErrorCode.RUNTIME_FAILED
    assert "no such luck" in answer.error.message
    failed = await gated.told.event(name, "start-failed")
    assert "no such luck" in failed.data["error"]["message"]
    view = await gated.node.inspect(name)
    assert (view.state, view.exit) == ("stopped", None)
    await gated.node.delete(name)
    await gated.told.event(name, "deleted")
    assert gated.told.types(name) == ["created", "start-failed", "deleted"]


async def test_a_wait_that_is_too_long_for_its_caller_says_that_it_runs(gated: Site) -> None:
    name = await gated.run()
    with pytest.raises(DeadlineExceeded) as late:
        await gated.node.wait(name, timeout_s=0.2)
    assert late.value.stage == "running"


async def _taken(site: Site, id_: str) -> Result | None:
    """The command has been written into the node's book (it may wait in its lane)."""
    while True:
        try:
            return (await site.node.result(id_)).result
        except NotFound:
            await asyncio.sleep(0)
