"""Processes added to a running container: waited for or not, captured, limited, refused."""

from __future__ import annotations

import asyncio

import pytest
from tests.integration.bounds import bounded
from tests.integration.fifos import shell
from tests.integration.world import Site, command
from tests.support.eventually import eventually

from wharfside_client.specs import process
from wharfside_protocol.commands import CAPTURE_BYTES
from wharfside_protocol.errors import AlreadyExists, NotFound, RuntimeFailed, WrongState
from wharfside_protocol.specs import User
from wharfside_protocol.states import ProcessState


@pytest.mark.parametrize("runtime", ["crun", "runc"])
async def test_exec_answers_with_its_exit_and_each_stream(site: Site, runtime: str) -> None:
    name = await site.run(runtime=runtime)
    done = await site.node.exec(name, command("echo out; echo err >&2; exit 4"), id="job")
    assert done.process == "job"
    assert done.exit is not None
    assert done.output is not None
    assert (done.exit.exit_code, done.exit.reason) == (4, "self")
    assert (done.output.stdout, done.output.stderr) == (b"out\n", b"err\n")
    await site.told.exit(name, "job")
    told = site.told.types(name)
    assert told == ["created", "started", "exec-added", "exec-started", "exited:job"]
    added = await site.told.event(name, "exec-added")
    assert added.data["args"] == ["/bin/sh", "-c", "echo out; echo err >&2; exit 4"]


async def test_exec_without_waiting_answers_at_once_and_the_exit_is_told(site: Site) -> None:
    name, cues = await site.run_with_cues()
    begun = await site.node.exec(name, command("read code </cue/go; exit $code"), wait=False)
    assert begun.exit is None
    assert begun.pid is not None
    listed = {each.process: each for each in await site.node.list_processes(name)}
    assert listed[begun.process].state is ProcessState.RUNNING
    assert next(iter(listed)) == "init"
    await site.node.signal(name, "KILL", process=begun.process)
    exit_ = await site.told.exit(name, begun.process)
    assert (exit_.exit_code, exit_.signal, exit_.reason) == (137, 9, "kill")
    listed = {each.process: each for each in await site.node.list_processes(name)}
    assert listed[begun.process].state is ProcessState.EXITED
    assert listed[begun.process].exit == exit_
    cues.go()


async def test_wait_works_for_an_exec_too_and_has_its_output(site: Site) -> None:
    name = await site.run()
    begun = await site.node.exec(name, command("echo later; exit 9"), wait=False)
    told = await site.node.wait(name, process=begun.process, output=True)
    assert told.exit is not None
    assert told.exit.exit_code == 9
    assert told.output is not None
    assert told.output.stdout == b"later\n"
    with pytest.raises(NotFound):
        await site.node.wait(name, process="no-such")


async def test_more_than_64_kib_a_stream_is_cut_and_said_to_be(site: Site) -> None:
    name = await site.run()
    script = "yes a | head -c 70000; yes b | head -c 65536 >&2"
    done = await site.node.exec(name, command(script))
    assert done.output is not None
    assert len(done.output.stdout) == CAPTURE_BYTES
    assert done.output.stdout == b"a\n" * (CAPTURE_BYTES // 2)
    assert done.output.stdout_truncated
    assert done.output.stderr == b"b\n" * (CAPTURE_BYTES // 2)
    assert not done.output.stderr_truncated


async def test_an_exec_runs_as_and_where_it_is_told(site: Site) -> None:
    name = await site.run(env={"A": "init"})
    spec = process(
        ["/bin/sh", "-c", "id -u; pwd; echo $A $B"],
        env={"B": "exec"},
        cwd="/tmp",
        user=User(uid=65534, gid=65534),
    )
    done = await site.node.exec(name, spec)
    assert done.output is not None
    assert done.output.stdout.split() == [b"65534", b"/tmp", b"init", b"exec"]


async def test_an_exec_that_is_not_over_in_time_is_killed(site: Site) -> None:
    name = await site.run()
    done = await site.node.exec(name, process(["/bin/sleep", "1000"]), limit_s=0.2)
    assert done.exit is not None
    assert (done.exit.exit_code, done.exit.reason, done.exit.timed_out) == (137, "timeout", True)
    assert (await site.node.inspect(name)).state == "running"


@pytest.mark.parametrize("runtime", ["crun", "runc"])
async def test_an_exec_of_what_is_not_there_is_start_failed(site: Site, runtime: str) -> None:
    name = await site.run(runtime=runtime)
    with pytest.raises(RuntimeFailed, match="no-such") as refused:
        await site.node.exec(name, process(["/bin/no-such"]), id="job")
    assert refused.value.details["exit_code"] == 127
    failed = await site.told.event(name, "start-failed", process="job")
    assert failed.data["error"]["code"] == "runtime-failed"
    again = await site.node.exec(name, command("exit 0"))
    assert again.exit is not None
    assert again.exit.exit_code == 0


async def test_an_exec_id_is_unique_in_its_run(site: Site) -> None:
    name = await site.run()
    await site.node.exec(name, command("exit 0"), id="one")
    with pytest.raises(AlreadyExists):
        await site.node.exec(name, command("exit 0"), id="one")
    with pytest.raises(AlreadyExists):
        await site.node.exec(name, command("exit 0"), id="init")


async def test_exec_only_in_a_container_that_runs(site: Site) -> None:
    name = site.name()
    await site.node.create(site.spec(name, shell("exit 0")))
    with pytest.raises(WrongState, match="start it first"):
        await site.node.exec(name, command("exit 0"))
    await site.node.start(name)
    await site.node.wait(name)
    with pytest.raises(WrongState):
        await site.node.exec(name, command("exit 0"))
    with pytest.raises(NotFound):
        await site.node.exec(site.name(), command("exit 0"))
    await site.told.exit(name)
    assert "exec-added" not in site.told.types(name)


async def test_execs_die_with_init_and_are_told_before_it(site: Site) -> None:
    name, cues = await site.run_with_cues()
    execs = [
        (await site.node.exec(name, process(["/bin/sleep", "1000"]), wait=False)).process
        for _ in range(3)
    ]
    waiting = [asyncio.create_task(site.node.wait(name, process=each)) for each in execs]
    cues.go("5")
    for wait in waiting:
        told = (await bounded(wait, "an exec's exit")).exit
        assert told is not None
        assert (told.exit_code, told.signal) == (137, 9)
    ended = await site.told.event(name, "exited", process="init")
    assert ended.data["exit_code"] == 5
    for each in execs:
        await site.told.exit(name, each)
    told = site.told.types(name)
    # it waits for them two seconds, which is long for a monitor, and names those that are late
    late = sorted(f"exited:{each}" for each in ended.data["execs_pending"])
    assert sorted(told[told.index("exited") + 1 :]) == late


async def test_many_execs_at_once_each_with_its_own_code(site: Site) -> None:
    name = await site.run()
    codes = range(8)
    done = await asyncio.gather(
        *(site.node.exec(name, command(f"echo {code}; exit {code}")) for code in codes)
    )
    for code, value in zip(codes, done, strict=True):
        assert value.exit is not None
        assert value.output is not None
        assert (value.exit.exit_code, value.output.stdout) == (code, f"{code}\n".encode())

    def told() -> bool:
        return len([each for each in site.told.types(name) if each.startswith("exited:")]) == 8

    await eventually(told, "eight exits")
