"""Pause, resume, update, stats and OOM: what they do to the cgroup."""

from __future__ import annotations

import asyncio
import signal

import pytest
from tests.contract.worlds import (
    SLEEP,
    World,
    assert_ended,
    bounded,
    end_of,
    next_oom,
    process,
    shell,
)
from tests.support.eventually import eventually
from tests.support.machine import cgroup_roots

from wharfside_agent.core.exit_status import interpret
from wharfside_agent.ports.runtime import Container
from wharfside_agent.ports.watcher import OomCounters
from wharfside_protocol.errors import NotFound, RuntimeFailed
from wharfside_protocol.exits import ExitReason
from wharfside_protocol.specs import Limits

MIB = 1 << 20
EATER = ("/bin/tail", "/dev/zero")


async def test_pause_freezes_and_resume_thaws(world: World) -> None:
    container = await world.run(*SLEEP)
    await bounded(container.pause())
    assert await container.state() == "paused"
    assert not world.kernel or world.kernel.frozen(container)
    await bounded(container.resume())
    assert await container.state() == "running"
    assert not world.kernel or not world.kernel.frozen(container)
    assert not world.kernel or world.kernel.lives(container.pid)


async def test_freeze_is_a_pause_and_thaw_its_end(world: World) -> None:
    """Of what forks without end, too; and a second `thaw` changes nothing."""
    container = await world.run(*(shell("while :; do (:); done") if world.kernel else SLEEP))
    for _ in range(5):
        await bounded(container.freeze())
        assert await container.state() == "paused"
        assert not world.kernel or world.kernel.frozen(container)
        container.thaw()
        container.thaw()
        assert await container.state() == "running"


async def test_a_frozen_one_can_be_killed(world: World) -> None:
    container = await world.run(*SLEEP)
    await bounded(container.pause())
    container.signal_all(signal.SIGKILL)
    assert_ended(await end_of(container.init), signal.SIGKILL)
    assert not world.kernel or world.kernel.pids(container) == set()


async def test_update_changes_what_is_given_and_nothing_else(world: World) -> None:
    container = await world.run(*SLEEP, limits=Limits(memory_bytes=64 * MIB, pids=20))
    await bounded(container.update(Limits(memory_bytes=96 * MIB)))
    stats = container.stats()
    assert stats.memory and stats.memory.limit_bytes == 96 * MIB
    assert stats.pids and stats.pids.limit == 20
    if world.kernel:
        assert world.kernel.limit(container, "memory") == str(96 * MIB)
        assert world.kernel.limit(container, "pids") == "20"


async def test_update_of_cpu_and_pids(real: World) -> None:
    container = await real.run(*SLEEP)
    assert real.kernel
    before = real.kernel.limit(container, "memory")
    await bounded(container.update(Limits(cpu_percent=25, cpu_weight=1, pids=7)))
    assert real.kernel.cpu_percent(container) == 25
    assert real.kernel.limit(container, "pids") == "7"
    assert real.kernel.limit(container, "cpu_weight") in ("1", "2")
    assert real.kernel.limit(container, "memory") == before


async def test_update_that_the_kernel_refuses_is_told_in_its_words(real: World) -> None:
    container = await real.run(*SLEEP)
    with pytest.raises(RuntimeFailed, match=r"(?i)numerical result out of range|invalid argument"):
        await bounded(container.update(Limits(cpuset="1000")))
    assert real.kernel and real.kernel.lives(container.pid)


async def test_stats_are_the_cgroups(world: World) -> None:
    container = await world.run(*SLEEP, limits=Limits(memory_bytes=64 * MIB, pids=20))
    # runc's own threads are counted until it has become the user's program.
    await eventually(lambda: _processes(container) == 1, "init is the user's program")
    stats = container.stats()
    assert stats.pids and stats.pids.limit == 20
    assert stats.memory and stats.memory.limit_bytes == 64 * MIB
    assert 0 < stats.memory.usage_bytes < 64 * MIB
    assert stats.cpu and stats.cpu.usage_us > 0
    if world.kernel:
        assert len(world.kernel.pids(container)) == 1


async def test_a_usage_is_the_short_form_of_the_stats(world: World) -> None:
    container = await world.run(*SLEEP, limits=Limits(memory_bytes=64 * MIB, pids=20))
    await eventually(lambda: _processes(container) == 1, "init is the user's program")
    told = container.usage()
    assert told and told.memory_limit_bytes == 64 * MIB
    assert told.memory_bytes and told.memory_bytes < 64 * MIB
    assert (told.pids, told.pids_limit) == (1, 20)
    assert told.cpu_us and told.uptime_us


async def test_pressure_is_told_where_the_kernel_has_it(real: World) -> None:
    """In the tree of version 2, which the hybrid has beside the controllers of version 1."""
    container = await real.run(*SLEEP)
    files = [folder / "memory.pressure" for folder in cgroup_roots(container.cgroup)]
    stats, usage = container.stats(), container.usage()
    told = (stats.cpu_pressure, stats.memory_pressure, stats.io_pressure)
    assert usage is not None
    assert {each is not None for each in told} == {any(each.exists() for each in files)}
    assert (usage.memory_stalled is None) == (stats.memory_pressure is None)


async def test_stats_count_the_work_that_is_done(real: World) -> None:
    container = await real.run(*SLEEP)
    before = container.stats()
    work = process("i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done")
    await end_of(await bounded(container.exec("e1", work)))
    after = container.stats()
    assert before.cpu and after.cpu
    assert after.cpu.usage_us - before.cpu.usage_us > 10_000


async def test_stats_of_a_deleted_one_are_not_there(world: World) -> None:
    container = await world.run(*shell("exit 0"))
    await end_of(container.init)
    await bounded(container.delete())
    with pytest.raises(NotFound):
        container.stats()
    assert container.usage() is None
    assert container.oom_counters() is None


async def test_oom_of_init_is_told_and_proven(world: World) -> None:
    container = await world.create(*EATER, limits=Limits(memory_bytes=16 * MIB, swap_bytes=0))
    told = asyncio.ensure_future(next_oom(container))
    await bounded(container.start())
    world.out_of_memory(container)
    counters = await bounded(told)
    assert counters.oom_kills == 1
    ended = await end_of(container.init)
    status = interpret(
        ended,
        end_asked=None,
        oom_kills_added=counters.oom_kills,
        started_at=None,
        memory_peak_bytes=counters.peak_bytes,
        cpu_us=None,
    )
    assert (status.exit_code, status.reason) == (137, ExitReason.OOM)
    assert status.oom_killed
    if world.kernel:
        assert world.kernel.oom_kills(container) == 1
        assert counters.limit_bytes == 16 * MIB
        assert counters.peak_bytes and counters.peak_bytes <= 16 * MIB


async def test_oom_of_a_child_is_told_and_is_not_inits_end(real: World) -> None:
    limits = Limits(memory_bytes=16 * MIB, swap_bytes=0)
    container = await real.create(*shell("tail /dev/zero; echo after; exit 0"), limits=limits)
    told = asyncio.ensure_future(next_oom(container))
    await bounded(container.start())
    assert (await bounded(told)).oom_kills == 1
    assert_ended(await end_of(container.init), 0)
    assert container.init.output(10).stdout == b"after\n"
    assert real.kernel and real.kernel.oom_kills(container) == 1


async def test_close_ends_the_telling_of_ooms(world: World) -> None:
    container = await world.run(*SLEEP)
    told = asyncio.ensure_future(_all_ooms(container))
    await asyncio.sleep(0)
    container.close()
    assert await bounded(told) == []


async def test_ooms_that_were_told_before_are_not_told_again(real: World) -> None:
    limits = Limits(memory_bytes=16 * MIB, swap_bytes=0)
    container = await real.run(*shell("tail /dev/zero; sleep 1000"), limits=limits)
    seen = await next_oom(container)
    container.close()
    plan = real.plans[container.id]
    again = real.keep(await real.new_life().reattach(plan, [container.init.trace], seen.oom_kills))
    told = asyncio.ensure_future(next_oom(again))
    eater = await bounded(again.exec("e1", process("tail /dev/zero")))
    await end_of(eater)
    assert (await bounded(told)).oom_kills == 2


async def test_kills_while_no_agent_watched_are_told_at_once(real: World) -> None:
    limits = Limits(memory_bytes=16 * MIB, swap_bytes=0)
    container = await real.run(*shell("tail /dev/zero; sleep 1000"), limits=limits)
    await next_oom(container)
    container.close()
    plan = real.plans[container.id]
    again = real.keep(await real.new_life().reattach(plan, [container.init.trace]))
    assert (await next_oom(again)).oom_kills == 1


async def test_signal_all_reaches_every_process(world: World) -> None:
    container = await world.run(*SLEEP)
    added = await bounded(container.exec("e1", process("sleep 1000")))
    container.signal_all(signal.SIGKILL)
    assert_ended(await end_of(added), signal.SIGKILL)
    assert_ended(await end_of(container.init), signal.SIGKILL)
    if world.kernel:
        assert world.kernel.pids(container) == set()


def _processes(container: Container) -> int:
    stats = container.stats()
    assert stats.pids
    return stats.pids.current


async def _all_ooms(container: Container) -> list[OomCounters]:
    return [counters async for counters in container.oom()]
