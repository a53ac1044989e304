"""One id, one effect: repeats are joined or replayed, fences hold, another body is a conflict."""

from __future__ import annotations

import asyncio

import pytest
from tests.integration.bounds import bounded
from tests.integration.fifos import shell
from tests.integration.gates import Gates
from tests.integration.raw import Raw, new_id
from tests.integration.world import Site, command, restart
from tests.support.agent import AgentProcess

from wharfside_protocol.command_base import ContainerArgs
from wharfside_protocol.commands import ListArgs
from wharfside_protocol.envelope import Expect
from wharfside_protocol.errors import (
    Conflict,
    ErrorCode,
    NotFound,
    RuntimeFailed,
    Stale,
    WrongState,
)
from wharfside_protocol.specs import Limits


async def test_the_same_id_twice_has_one_effect_and_one_answer(gated: Site) -> None:
    name, id_ = gated.name(), new_id()
    args = gated.spec(name)
    first = await gated.node.request("run", args, command_id=id_)
    second = await gated.node.request("run", args, command_id=id_)
    assert (first.ok, first.replayed) == (True, False)
    assert (second.ok, second.replayed) == (True, True)
    assert second.value == first.value
    assert second.timings == first.timings
    await gated.told.event(name, "started")
    assert gated.told.types(name) == ["created", "started"]


async def test_an_error_is_kept_and_replayed_too(gated: Site) -> None:
    name, id_ = gated.name(), new_id()
    first = await gated.node.request("pause", ContainerArgs(container=name), command_id=id_)
    assert first.error is not None
    assert first.error.code is ErrorCode.NOT_FOUND
    await gated.run(name=name)
    second = await gated.node.request("pause", ContainerArgs(container=name), command_id=id_)
    assert second.replayed
    assert second.error == first.error
    assert (await gated.node.inspect(name)).state == "running"


async def test_a_repeat_joins_the_one_that_runs(gated: Site, gates: Gates) -> None:
    name, id_ = await gated.run(), new_id()
    with gates.hold("pause") as held:
        first = asyncio.create_task(
            gated.node.request("pause", ContainerArgs(container=name), command_id=id_)
        )
        await held.ready()
        second = asyncio.create_task(
            gated.node.request("pause", ContainerArgs(container=name), command_id=id_)
        )
        state = await gated.node.result(id_)
        assert (state.state, state.result) == ("running", None)
        assert not (first.done() or second.done())
        held.go()
        both = await bounded(asyncio.gather(first, second), "both answers")
    assert both[0].ok
    assert both[0].value == both[1].value
    await gated.told.event(name, "paused")
    assert gated.told.types(name).count("paused") == 1


async def test_the_same_id_for_something_else_is_a_conflict(gated: Site) -> None:
    name, id_ = await gated.run(), new_id()
    await gated.node.pause(name, command_id=id_)
    with pytest.raises(Conflict):
        await gated.node.resume(name, command_id=id_)
    with pytest.raises(Conflict):
        await gated.node.pause(gated.name(), command_id=id_)
    assert (await gated.node.inspect(name)).state == "paused"


async def test_a_conflict_with_the_one_that_runs(gated: Site, gates: Gates) -> None:
    name, id_ = await gated.run(), new_id()
    with gates.hold("pause") as held:
        first = asyncio.create_task(gated.node.pause(name, command_id=id_))
        await held.ready()
        with pytest.raises(Conflict):
            await gated.node.delete(name, force=True, command_id=id_)
        held.go()
        assert (await bounded(first, "pause")).state == "paused"


async def test_the_order_of_keys_and_one_for_1_0_are_the_same_command(
    gated: Site, raw: Raw
) -> None:
    name, id_ = await gated.run(), new_id()
    spelled = {"container": name, "grace_s": 0.0, "signal": None}
    other = {"grace_s": 0, "container": name}
    first = await raw.command("n1", "stop", spelled, id=id_)
    second = await raw.command("n1", "stop", other, id=id_)
    assert first.ok
    assert second.replayed
    assert second.value == first.value


async def test_reads_are_not_stored(gated: Site) -> None:
    id_ = new_id()
    await gated.node.ping(command_id=id_)
    again = await gated.node.request("list", ListArgs(), command_id=id_)
    assert (again.ok, again.replayed) == (True, False)
    with pytest.raises(NotFound):
        await gated.node.result(id_)


async def test_result_has_what_was_answered(gated: Site) -> None:
    id_ = new_id()
    name = gated.name()
    answered = await gated.node.request("run", gated.spec(name), command_id=id_)
    state = await gated.node.result(id_)
    assert (state.op, state.state) == ("run", "done")
    assert state.result is not None
    assert state.result.value == answered.value
    assert state.result.digest == answered.digest


async def test_after_a_restart_of_the_agent_it_is_replayed(
    gated: Site, gated_agent: AgentProcess, gates: Gates
) -> None:
    name, id_, failed = gated.name(), new_id(), new_id()
    args = gated.spec(name, shell("exit 3"))
    first = await gated.node.request("run", args, command_id=id_)
    refused = await gated.node.request("resume", ContainerArgs(container=name), command_id=failed)
    assert refused.error is not None
    await restart(gated_agent, **gates.environment)
    second = await gated.node.request("run", args, command_id=id_)
    assert second.replayed
    assert second.value == first.value
    again = await gated.node.request("resume", ContainerArgs(container=name), command_id=failed)
    assert again.replayed
    assert again.error == refused.error
    with pytest.raises(Conflict):
        await gated.node.delete(name, command_id=id_)
    await gated.told.exit(name)
    assert gated.told.types(name).count("created") == 1


async def test_nobody_waits_for_what_never_ran(
    gated: Site, gated_agent: AgentProcess, gates: Gates
) -> None:
    name = gated.name()
    await gated.node.create(gated.spec(name))
    with gates.refuse("start", "no such luck"), pytest.raises(RuntimeFailed):
        await gated.node.start(name)
    with pytest.raises(WrongState, match="never ran"):
        await gated.node.wait(name)
    await restart(gated_agent, **gates.environment)
    with pytest.raises(WrongState, match="never ran"):
        await gated.node.wait(name)
    assert (await gated.node.inspect(name)).state == "stopped"


@pytest.mark.parametrize("fence", ["incarnation", "run", "revision"])
async def test_what_expects_another_container_is_stale(gated: Site, fence: str) -> None:
    name = gated.name()
    made = await gated.make(name)
    good = Expect(incarnation=made.incarnation, run=made.run, revision=made.revision)
    wrong = {"incarnation": "0" * 26, "run": 2, "revision": made.revision - 1}
    expect = Expect(**{fence: wrong[fence]})  # type: ignore[arg-type]
    with pytest.raises(Stale) as stale:
        await gated.node.pause(name, expect=expect)
    assert stale.value.details["expected"] == wrong[fence]
    assert stale.value.details[fence] == getattr(made, fence)
    paused = await gated.node.pause(name, expect=good)
    with pytest.raises(Stale):
        await gated.node.resume(name, expect=good)
    await gated.node.resume(name, expect=Expect(revision=paused.revision))
    await gated.told.event(name, "resumed")
    assert gated.told.types(name) == ["created", "started", "paused", "resumed"]


async def test_a_new_container_of_the_name_is_not_the_old_one(gated: Site) -> None:
    name = gated.name()
    old = await gated.make(name)
    await gated.node.delete(name, force=True)
    await gated.make(name)
    for op in ("pause", "stop", "delete", "start", "signal"):
        answer = await gated.node.request(
            op, ContainerArgs(container=name), expect=Expect(incarnation=old.incarnation)
        )
        assert answer.error is not None
        assert answer.error.code is ErrorCode.STALE, op
    assert (await gated.node.inspect(name)).state == "running"


async def test_execs_do_not_raise_the_revision_but_limits_do(gated: Site) -> None:
    name = gated.name()
    made = await gated.make(name)
    done = await gated.node.exec(name, command("exit 0"))
    assert done.revision == made.revision
    updated = await gated.node.update(name, Limits(pids=100))
    assert updated.revision == made.revision + 1
