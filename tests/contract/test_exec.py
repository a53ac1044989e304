"""More processes in a running container, each with a monitor of its own."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest
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
from tests.support.eventually import eventually

from wharfside_protocol.errors import RuntimeFailed
from wharfside_protocol.specs import ProcessSpec


async def test_exec_runs_beside_init(world: World) -> None:
    container = await world.run(*SLEEP)
    added = await bounded(container.exec("e1", ProcessSpec(args=list(SLEEP))))
    assert [each.id for each in container.processes()] == ["init", "e1"]
    assert added.container is container
    if world.kernel:
        for kind in ("pid", "mnt", "net"):
            namespaces = {world.kernel.namespace(pid, kind) for pid in (container.pid, added.pid)}
            assert len(namespaces) == 1
        assert world.kernel.pids(container) == {container.pid, added.pid}
    added.signal(signal.SIGKILL)
    assert_ended(await end_of(added), signal.SIGKILL)
    assert not world.kernel or world.kernel.lives(container.pid)


@pytest.mark.parametrize("code", [0, 5])
async def test_exec_tells_its_code_and_output(world: World, code: int) -> None:
    container = await world.run(*SLEEP)
    script = f"echo out; echo err >&2; exit {code}"
    added = await bounded(container.exec("e1", process(script)))
    assert code_of(await end_of(added)) == code
    output = added.output(100)
    assert (output.stdout, output.stderr) == (b"out\n", b"err\n")
    assert not world.kernel or world.kernel.lives(container.pid)


@pytest.mark.parametrize(("program", "code"), [("/bin/nothing", 127), ("/bin/not-executable", 126)])
async def test_exec_of_what_cannot_run_starts_nothing(
    world: World, program: str, code: int
) -> None:
    container = await world.run(*SLEEP)
    with pytest.raises(RuntimeFailed) as refused:
        await bounded(container.exec("e1", ProcessSpec(args=[program])))
    assert refused.value.details["exit_code"] == code
    assert [each.id for each in container.processes()] == ["init"]
    if world.kernel:
        # crun tells of it before the child that it had made for it is over
        await eventually(
            lambda: world.kernel and world.kernel.pids(container) == {container.pid}, "init alone"
        )
        assert not (container.bundle / "monitors" / "e1").exists()


async def test_execs_that_failed_do_not_hold_inits_end_back(real: World) -> None:
    """crun leaves a child in the PID namespace that someone must reap before init can end."""
    container = await real.run(*SLEEP)
    for number in range(10):
        with pytest.raises(RuntimeFailed):
            await bounded(container.exec(f"e{number}", ProcessSpec(args=["/bin/nothing"])))
    container.init.signal(signal.SIGKILL)
    assert_ended(await end_of(container.init), signal.SIGKILL)


async def test_exec_takes_env_and_cwd_of_its_own_and_the_rest_of_init(real: World) -> None:
    container = await real.create_as(real.plan(*SLEEP, env=("A=init", "B=init")))
    await bounded(container.start())
    spec = ProcessSpec(args=list(shell("pwd; echo $A $B")), env=["B=exec"], cwd="/tmp")
    added = await bounded(container.exec("e1", spec))
    await end_of(added)
    assert added.output(100).stdout == b"/tmp\ninit exec\n"
    assert added.spec["args"] == spec.args


async def test_execs_side_by_side_are_told_apart(world: World) -> None:
    container = await world.run(*SLEEP)
    added = await asyncio.gather(
        *(bounded(container.exec(f"e{n}", process(f"echo {n}; exit {n}"))) for n in range(4))
    )
    for number, each in enumerate(added):
        assert code_of(await end_of(each)) == number
        assert each.output(10).stdout == b"%d\n" % number


async def test_an_exec_leaves_inits_attach_socket_alone(real: World) -> None:
    container = await real.run(*SLEEP)
    before = _sockets(container.bundle)
    assert set(before) == {"attach", "ctl"}
    await end_of(await bounded(container.exec("e1", process("exit 0"))))
    assert _sockets(container.bundle) == before


async def test_execs_die_with_init(real: World) -> None:
    container = await real.run(*SLEEP)
    added = await bounded(container.exec("e1", ProcessSpec(args=list(SLEEP))))
    container.init.signal(signal.SIGKILL)
    assert_ended(await end_of(added), signal.SIGKILL)
    assert_ended(await end_of(container.init), signal.SIGKILL)


async def test_a_discarded_exec_takes_its_folder_along(world: World) -> None:
    container = await world.run(*SLEEP)
    added = await bounded(container.exec("e1", process("echo x")))
    await end_of(added)
    added.discard()
    container.init.discard()
    assert [each.id for each in container.processes()] == ["init"]
    if world.kernel:
        assert not (container.bundle / "monitors" / "e1").exists()
        assert (container.bundle / "monitors" / "init").exists()
        assert added.output(10).stdout == b"x\n"


def _sockets(bundle: Path) -> dict[str, int]:
    return {
        name: (bundle / name).lstat().st_ino
        for name in ("attach", "ctl")
        if (bundle / name).exists()
    }
