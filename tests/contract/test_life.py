"""From create to deleted: what each step does to real processes."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

import pytest
from tests.contract.kernel import readable
from tests.contract.worlds import SLEEP, World, assert_ended, bounded, end_of, shell
from tests.support.eventually import eventually

from wharfside_agent.core.placement import RunPlace
from wharfside_agent.ports.process import NotExited
from wharfside_protocol.errors import NotFound, RuntimeFailed
from wharfside_protocol.specs import Limits

TERM_TRAP = shell("trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done")


async def test_create_makes_init_wait_for_start(world: World) -> None:
    container = await world.create(*SLEEP)
    assert await container.state() == "created"
    if world.kernel:
        assert world.kernel.lives(container.pid)
        assert "sleep" not in world.kernel.command(container.pid)[0]


async def test_start_runs_the_users_program(world: World) -> None:
    container = await world.create(*SLEEP)
    assert await bounded(container.start()) is container.init
    assert await container.state() == "running"
    if world.kernel:
        await eventually(
            lambda: world.kernel and world.kernel.command(container.pid) == list(SLEEP),
            "init is the user's program",
        )
        assert world.kernel.pids(container) == {container.pid}


async def test_start_a_second_time_is_refused(world: World) -> None:
    container = await world.run(*SLEEP)
    with pytest.raises(RuntimeFailed):
        await bounded(container.start())
    assert await container.state() == "running"
    if world.kernel:
        assert world.kernel.lives(container.pid)


@pytest.mark.parametrize("code", [0, 3, 255])
async def test_exit_tells_the_code(world: World, code: int) -> None:
    container = await world.run(*shell(f"exit {code}"))
    ended = await end_of(container.init)
    assert_ended(ended, code << 8)
    assert container.init.exit_status() == ended
    assert await container.state() == "stopped"
    if world.kernel:
        assert ended.exit_file == code
        assert not world.kernel.lives(container.pid)
        assert not world.kernel.lives(container.init.trace.monitor.pid)


async def test_sigkill_is_told_from_exit_137(world: World) -> None:
    killed, imitator = await world.run(*SLEEP), await world.run(*shell("exit 137"))
    killed.init.signal(signal.SIGKILL)
    assert_ended(await end_of(killed.init), signal.SIGKILL)
    assert_ended(await end_of(imitator.init), 137 << 8)
    if world.kernel:
        assert killed.init.exit_status().exit_file == imitator.init.exit_status().exit_file == 137


async def test_a_signal_reaches_the_programs_own_handler(world: World) -> None:
    container = await world.run(*TERM_TRAP)
    await eventually(lambda: container.init.output(10).stdout == b"ready\n", "trap is set")
    if world.kernel:
        assert world.kernel.catches(container.pid, signal.SIGTERM)
    container.init.signal(signal.SIGTERM)
    assert_ended(await end_of(container.init), 7 << 8)


async def test_output_gives_the_head_of_each_stream(world: World) -> None:
    container = await world.run(*shell("echo hello out; echo hello err >&2; exit 0"))
    await end_of(container.init)
    whole = container.init.output(100)
    assert (whole.stdout, whole.stderr) == (b"hello out\n", b"hello err\n")
    assert not whole.stdout_truncated and not whole.stderr_truncated
    head = container.init.output(5)
    assert head.stdout == b"hello" and head.stdout_truncated and head.stderr_truncated


async def test_output_is_whole_when_the_end_is_told(real: World) -> None:
    script = "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done; printf '\\0\\377end'"
    container = await real.run(*shell(script))
    await end_of(container.init)
    lines = b"".join(b"line %d\n" % i for i in range(3000))
    assert container.init.output(1_000_000).stdout == lines + b"\0\xffend"


async def test_exit_status_of_a_running_process_is_an_error(world: World) -> None:
    container = await world.run(*SLEEP)
    with pytest.raises(NotExited):
        container.init.exit_status()


async def test_exit_fd_can_be_read_once_it_is_over(world: World) -> None:
    container = await world.run(*SLEEP)
    assert not readable(container.init.exit_fd, 0)
    container.init.signal(signal.SIGKILL)
    await end_of(container.init)
    assert readable(container.init.exit_fd)


async def test_a_process_that_is_over_cannot_be_signaled(world: World) -> None:
    container = await world.run(*shell("exit 0"))
    await end_of(container.init)
    with pytest.raises(NotFound):
        container.init.signal(signal.SIGTERM)


@pytest.mark.parametrize(("program", "code"), [("/bin/nothing", 127), ("/bin/not-executable", 126)])
async def test_create_of_what_cannot_run_leaves_nothing(
    world: World, program: str, code: int
) -> None:
    plan = world.plan(program)
    with pytest.raises(RuntimeFailed) as refused:
        await bounded(world.runtime.create(plan))
    assert refused.value.details["exit_code"] == code
    if world.kernel and world.kit:
        place = RunPlace(world.kit.places, plan.incarnation, plan.run)
        cgroup = world.kit.cgroup(place).path
        assert world.kernel.left_of_id(place.runtime_id, cgroup) == []


async def test_delete_leaves_nothing(world: World) -> None:
    container = await world.run(*shell("exit 0"))
    await end_of(container.init)
    await bounded(container.delete())
    with pytest.raises(NotFound):
        await container.state()
    if world.kernel:
        assert world.kernel.left_of(container) == []


async def test_delete_of_a_created_one_leaves_nothing(world: World) -> None:
    container = await world.create(*SLEEP)
    await bounded(container.delete())
    if world.kernel:
        assert world.kernel.left_of(container) == []


async def test_delete_ends_what_still_runs(world: World) -> None:
    container = await world.run(*shell("sleep 1000"))
    await bounded(container.delete())
    assert_ended(await end_of(container.init), signal.SIGKILL)
    if world.kernel:
        assert not world.kernel.lives(container.pid)
        assert world.kernel.left_of(container) == []


async def test_delete_ends_what_is_frozen(world: World) -> None:
    container = await world.run(*SLEEP)
    await bounded(container.pause())
    await bounded(container.delete())
    if world.kernel:
        assert not world.kernel.lives(container.pid)
        assert world.kernel.left_of(container) == []


async def test_delete_twice_is_as_once(world: World) -> None:
    container = await world.run(*shell("exit 0"))
    await end_of(container.init)
    for _ in range(2):
        await bounded(container.delete())
    if world.kernel:
        assert world.kernel.left_of(container) == []


async def test_the_same_run_cannot_be_created_twice(real: World) -> None:
    container = await real.run(*SLEEP)
    with pytest.raises(RuntimeFailed, match="never reuses a folder"):
        await bounded(real.runtime.create(real.plans[container.id]))
    assert await container.state() == "running"
    assert real.kernel and real.kernel.lives(container.pid)


async def test_a_second_run_is_a_container_of_its_own(world: World) -> None:
    """Same incarnation, nothing shared but the layer and the logs: an end is its run's alone."""
    plan = world.plan(*shell("echo one; exit 3"))
    first = await world.create_as(plan)
    await bounded(first.start())
    assert_ended(await end_of(first.init), 3 << 8)
    await bounded(first.delete(keep_layer=True))
    if world.kernel:
        left = world.kernel.left_of_id(first.id, first.cgroup)
        assert {Path(each).parent.name for each in left} == {"layers", "logs"}, left
    second = await world.create_as(replace(plan, run=2))
    assert (second.id, await second.state()) == (f"{plan.incarnation.lower()}-2", "created")
    assert second.pid != first.pid
    await bounded(second.start())
    assert_ended(await end_of(second.init), 3 << 8)
    assert second.init.output(10).stdout == b"one\n"
    assert first.init.output(10).stdout == b"one\n"
    with pytest.raises(NotFound):
        await first.state()
    if world.kernel:
        assert second.init.trace.monitor != first.init.trace.monitor


async def test_a_second_run_counts_its_own_figures(world: World) -> None:
    """Its cgroup has the name of the one before, and is another."""
    plan = world.plan(*SLEEP)
    first = await world.create_as(plan)
    await bounded(first.start())
    first.init.signal(signal.SIGKILL)
    await end_of(first.init)
    await bounded(first.delete(keep_layer=True))
    second = await world.create_as(replace(plan, run=2))
    await bounded(second.start())
    counters = second.oom_counters()
    assert counters is not None
    assert counters.oom_kills == 0
    if world.kernel:
        assert world.kernel.pids(second) == {second.pid}


async def test_a_second_run_that_is_refused_leaves_the_layer(real: World) -> None:
    plan = real.plan(*shell("echo kept > /file; mv /bin/sh /bin/away"))
    first = await real.create_as(plan)
    await bounded(first.start())
    await end_of(first.init)
    await bounded(first.delete(keep_layer=True))
    for run in (2, 3):
        with pytest.raises(RuntimeFailed):
            await bounded(real.runtime.create(replace(plan, run=run)))
    assert real.kernel and real.kit
    place = RunPlace(real.kit.places, plan.incarnation, 3)
    assert (place.layer / "upper" / "file").read_text() == "kept\n"
    assert place.logs.is_dir()
    await bounded(real.runtime.undo(replace(plan, run=3)))
    assert not place.layer.exists()
    assert not place.logs.exists()
    assert real.kernel.left_of_id(place.runtime_id, real.kit.cgroup(place).path) == []


async def test_undo_keeps_the_layer_where_it_is_told_to(real: World) -> None:
    """A run that nobody can reattach gives way to the next."""
    plan = real.plan(*shell("echo kept > /file"))
    first = await real.create_as(plan)
    await bounded(first.start())
    await end_of(first.init)
    await bounded(real.runtime.undo(plan, keep_layer=True))
    second = await real.create_as(
        real.plan(*shell("cat /file"), incarnation=plan.incarnation, run=2)
    )
    await bounded(second.start())
    await end_of(second.init)
    assert second.init.output(10).stdout == b"kept\n"


async def test_a_kept_layer_is_the_next_runs(real: World) -> None:
    plan = real.plan(*shell("echo kept > /file"))
    first = await real.create_as(plan)
    await bounded(first.start())
    await end_of(first.init)
    await bounded(first.delete(keep_layer=True))
    second = await real.create_as(
        real.plan(*shell("cat /file"), incarnation=plan.incarnation, run=2)
    )
    await bounded(second.start())
    await end_of(second.init)
    assert second.init.output(10).stdout == b"kept\n"
    assert not (real.rootfs / "file").exists()


async def test_spec_is_what_init_runs(world: World) -> None:
    container = await world.create(*SLEEP)
    assert container.init.spec["args"] == list(SLEEP)


async def test_limits_are_in_the_cgroup_before_the_program_runs(real: World) -> None:
    limits = Limits(memory_bytes=64 << 20, pids=20, cpu_percent=50)
    container = await real.create(*SLEEP, limits=limits)
    assert real.kernel
    assert real.kernel.limit(container, "memory") == str(64 << 20)
    assert real.kernel.limit(container, "pids") == "20"
    assert real.kernel.cpu_percent(container) == 50
