"""The death of any part: of conmon, of the agent, of both; and what is still told exactly."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.contract.fixtures import no_subreaper
from tests.contract.worlds import (
    SLEEP,
    World,
    assert_ended,
    bounded,
    code_of,
    end_of,
    process,
    shell,
)
from tests.support.eventually import eventually, wait_until

from wharfside_agent.core.placement import RunPlace
from wharfside_agent.disk_pace import SLOW_S
from wharfside_agent.ports.process import ProcessTrace
from wharfside_agent.ports.runtime import RunPlan
from wharfside_agent.ports.watcher import MonitorGone
from wharfside_agent.watchers.exits import PidfdExits
from wharfside_agent.watchers.pidfd import kernel_tells_exits
from wharfside_protocol.errors import NotFound
from wharfside_protocol.exits import StatusSource

STAGES = ["bundle", "conmon", "state", "pid"]
CREATOR = Path(__file__).with_name("creator.py")


async def test_a_killed_monitor_is_told_and_the_exit_is_exact(world: World) -> None:
    container = await world.run(*SLEEP)
    world.lose_monitor(container.init)
    assert await bounded(container.init.watch.next()) == MonitorGone(StatusSource.WAIT)
    assert not world.kernel or world.kernel.lives(container.pid)
    container.init.signal(signal.SIGKILL)
    ended = await end_of(container.init)
    assert (ended.wait_status, ended.source) == (signal.SIGKILL, StatusSource.WAIT)
    assert ended.monitor_lost and ended.exit_file is None


async def test_a_killed_monitor_of_an_exec_is_told(real: World) -> None:
    container = await real.run(*SLEEP)
    added = await bounded(container.exec("e1", process("sleep 1000")))
    real.lose_monitor(added)
    assert isinstance(await bounded(added.watch.next()), MonitorGone)
    assert real.kernel and real.kernel.lives(added.pid)
    assert container.init.watch.ended is None
    added.signal(signal.SIGTERM)
    assert_ended(await end_of(added), signal.SIGTERM)


@pytest.mark.skipif(not kernel_tells_exits(), reason="needs Linux 6.15: PIDFD_INFO_EXIT")
async def test_an_orphan_of_pid_1_is_still_told_exactly(crun: World) -> None:
    """The agent started anew: it is nobody's parent any more, the kernel alone tells."""
    with no_subreaper():
        container = await crun.run(*shell("sleep 1000"))
        crun.lose_monitor(container.init)
        assert await bounded(container.init.watch.next()) == MonitorGone(StatusSource.PIDFD)
        container.init.signal(signal.SIGKILL)
        ended = await end_of(container.init)
    assert (ended.wait_status, ended.source) == (signal.SIGKILL, StatusSource.PIDFD)
    assert ended.monitor_lost


async def test_monitor_and_process_lost_unseen_is_unknown_and_says_why(real: World) -> None:
    container = await real.run(*SLEEP)
    trace = container.init.trace
    container.close()
    os.kill(trace.monitor.pid, signal.SIGKILL)
    os.kill(trace.identity.pid, signal.SIGKILL)
    await eventually(lambda: not _there(trace), "both are dead and reaped")
    again = real.keep(await real.new_life().reattach(real.plans[container.id], [trace]))
    ended = await end_of(again.init)
    assert ended.source is StatusSource.NONE and ended.wait_status is None
    assert ended.detail and ended.monitor_lost and not ended.time_known
    assert again.init.exit_fd == -1


async def test_a_stopped_monitor_holds_no_exit_back_for_ever(crun: World) -> None:
    runtime = crun.with_exits(PidfdExits(monitor_seconds=0.2))
    container = crun.keep(await bounded(runtime.create(crun.plan(*SLEEP))))
    await bounded(container.start())
    monitor = container.init.trace.monitor.pid
    os.kill(monitor, signal.SIGSTOP)
    container.init.signal(signal.SIGKILL)
    ended = await end_of(container.init)
    assert ended.exit_file is None and ended.monitor_lost
    assert ended.source is StatusSource.PIDFD and ended.wait_status == signal.SIGKILL
    os.kill(monitor, signal.SIGCONT)
    assert crun.kernel
    await eventually(lambda: crun.kernel and not crun.kernel.lives(monitor), "conmon ends")
    assert await bounded(container.init.watch.next()) == ended


async def test_a_new_life_finds_what_runs(world: World) -> None:
    container = await world.run(*SLEEP)
    trace, plan = container.init.trace, world.plans[container.id]
    container.close()
    again = world.keep(await bounded(world.new_life().reattach(plan, [trace])))
    assert again.id == container.id and again.init.trace == trace
    assert again.init.watch.ended is None
    assert again.init.spec["args"] == list(SLEEP)
    again.init.signal(signal.SIGKILL)
    assert_ended(await end_of(again.init), signal.SIGKILL)


async def test_a_new_life_starts_what_was_created(world: World) -> None:
    container = await world.create(*shell("exit 4"))
    trace, plan = container.init.trace, world.plans[container.id]
    container.close()
    again = world.keep(await bounded(world.new_life().reattach(plan, [trace])))
    assert await again.state() == "created"
    await bounded(again.start())
    assert_ended(await end_of(again.init), 4 << 8)


async def test_a_new_life_tells_what_ended_meanwhile(world: World) -> None:
    container = await world.run(*SLEEP)
    added = await bounded(container.exec("e1", process("sleep 1000")))
    traces, plan = [added.trace, container.init.trace], world.plans[container.id]
    container.init.signal(signal.SIGKILL)
    await end_of(container.init)
    await end_of(added)
    container.close()
    again = world.keep(await bounded(world.new_life().reattach(plan, traces)))
    assert [each.id for each in again.processes()] == ["init", "e1"]
    for each in again.processes():
        ended = await end_of(each)
        assert code_of(ended) == 137
        assert each.exit_fd == -1
    assert not world.kernel or again.init.exit_status().source is StatusSource.EXIT_FILE


async def test_a_new_life_takes_no_other_process_for_it(real: World) -> None:
    """The pid may be another's by now: the start time decides."""
    container = await real.run(*SLEEP)
    trace = container.init.trace
    reused = replace(trace, identity=replace(trace.identity, start_time=1))
    again = await real.new_life().reattach(real.plans[container.id], [reused])
    with pytest.raises(NotFound):
        again.init.signal(signal.SIGKILL)
    assert real.kernel and real.kernel.lives(container.pid)
    again.close()


async def test_a_new_life_finds_an_exec_that_left_no_trace(real: World) -> None:
    container = await real.run(*SLEEP)
    added = await bounded(container.exec("e1", process("sleep 1000")))
    init, plan = container.init.trace, real.plans[container.id]
    container.close()
    again = real.keep(await real.new_life().reattach(plan, [init]))
    assert [each.trace for each in again.processes()] == [init, added.trace]


async def test_nothing_left_is_not_found(world: World) -> None:
    container = await world.run(*shell("exit 0"))
    trace = container.init.trace
    await end_of(container.init)
    await bounded(container.delete())
    with pytest.raises(NotFound):
        await world.new_life().reattach(world.plans[container.id], [trace])


async def test_undo_of_a_whole_create_leaves_nothing(world: World) -> None:
    container = await world.create(*SLEEP)
    plan = world.plans[container.id]
    container.close()
    for _ in range(2):
        await bounded(world.new_life().undo(plan))
    if world.kernel:
        assert world.kernel.left_of(container) == []


@pytest.mark.parametrize("stage", STAGES[:-1])
async def test_a_create_that_is_canceled_leaves_nothing(real: World, stage: str) -> None:
    plan = await _canceled_at(real, stage)
    await eventually(lambda: not _left(real, plan), "nothing is left")


async def test_on_a_slow_disk_threads_make_and_remove_and_leave_nothing(real: World) -> None:
    """A thread cannot be canceled: whoever is canceled waits for it, and undoes what it made."""
    assert real.kit
    await real.kit.pace.do(lambda: time.sleep(20 * SLOW_S))
    assert not real.kit.pace.quick
    plan = await _canceled_at(real, "bundle")
    await eventually(lambda: not _left(real, plan), "nothing is left")
    container = await real.run(*shell("exit 3"))
    assert code_of(await end_of(container.init)) == 3
    await bounded(container.delete())
    assert real.kernel
    assert real.kernel.left_of(container) == []


async def _canceled_at(world: World, stage: str) -> RunPlan:
    """The first create that was met there: where others take the CPU, one may be done before it
    is seen."""
    for _ in range(50):
        plan = world.plan(*SLEEP)
        creating = asyncio.ensure_future(world.runtime.create(plan))
        await eventually(_stage(world, plan, stage).exists, f"{stage} is there", every_s=0.0005)
        creating.cancel()
        try:
            world.keep(await bounded(creating))
        except asyncio.CancelledError:
            return plan
    raise AssertionError(f"no create was ever met at {stage}")


@pytest.mark.parametrize("stage", STAGES)
async def test_undo_after_the_agent_died_in_create_leaves_nothing(real: World, stage: str) -> None:
    plan = real.plan(*SLEEP)
    _die_in_create(real, plan, stage)
    await bounded(real.runtime.undo(plan))
    await eventually(lambda: not _left(real, plan), "nothing is left")


def _die_in_create(world: World, plan: RunPlan, stage: str) -> None:
    """Lets another agent create, and kills it as soon as `stage` can be seen."""
    assert world.kit
    seen = _stage(world, plan, stage)
    facts = [world.kit.places.run_dir, world.kit.places.state_dir, world.kit.delegated]
    words = [sys.executable, CREATOR, world.name, *facts, world.rootfs, plan.incarnation]
    creator = subprocess.Popen([str(word) for word in words])
    try:
        wait_until(seen.exists, f"{stage} is there", every_s=0.0005)
    finally:
        creator.kill()
        creator.wait()


def _stage(world: World, plan: RunPlan, stage: str) -> Path:
    """What comes to be at each stage of a create, in this order."""
    assert world.kit and world.probed
    place = RunPlace(world.kit.places, plan.incarnation, plan.run)
    return {
        "bundle": place.bundle,
        "conmon": place.monitor_dir("init") / "conmon.pid",
        "state": world.probed.binary(world.name).root / place.runtime_id,
        "pid": place.monitor_dir("init") / "pid",
    }[stage]


def _left(world: World, plan: RunPlan) -> list[str]:
    assert world.kernel and world.kit
    place = RunPlace(world.kit.places, plan.incarnation, plan.run)
    return world.kernel.left_of_id(place.runtime_id, world.kit.cgroup(place).path)


def _there(trace: ProcessTrace) -> bool:
    pids = (trace.identity.pid, trace.monitor.pid)
    return any(Path(f"/proc/{pid}").exists() for pid in pids)
