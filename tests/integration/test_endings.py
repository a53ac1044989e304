"""Signals, stop, delete, pause, resume and update: what they do to the kernel's processes."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
from tests.integration.fifos import OBEYS_TERM, shell
from tests.integration.world import Site, command
from tests.support.machine import cgroup_roots, has_ended

from wharfside_protocol.errors import Invalid, NotFound, WrongState
from wharfside_protocol.exits import ExitReason
from wharfside_protocol.specs import Limits

ANSWERS_USR1 = shell(
    "trap 'echo got >/cue/ready' USR1; echo set >/cue/ready; while :; do sleep 1000 & wait; done"
)
IGNORES_TERM = shell("trap '' TERM; echo set >/cue/ready; exec sleep 1000")


async def test_a_signal_is_told_before_the_end_that_it_causes(site: Site) -> None:
    name, cues = await site.run_with_cues(OBEYS_TERM)
    await cues.ready()
    await site.node.signal(name, "TERM")
    exit_ = await site.told.exit(name)
    assert (exit_.exit_code, exit_.reason, exit_.signal) == (7, "kill", None)
    assert site.told.types(name) == ["created", "started", "signaled", "exited"]
    with pytest.raises(WrongState):
        await site.node.signal(name)


async def test_a_signal_has_a_name_or_a_number_and_must_be_one(site: Site) -> None:
    name, cues = await site.run_with_cues(ANSWERS_USR1)
    assert await cues.ready() == "set"
    for spelled in ("USR1", "SIGUSR1", "10"):
        await site.node.signal(name, spelled)
        assert await cues.ready() == "got"
    with pytest.raises(Invalid):
        await site.node.signal(name, "NOSUCH")
    with pytest.raises(NotFound):
        await site.node.signal(name, process="nobody")
    assert [each for each in site.told.types(name) if each == "exited"] == []


@pytest.mark.parametrize("runtime", ["crun", "runc"])
async def test_stop_is_obeyed_within_the_grace(site: Site, runtime: str) -> None:
    cues = site.cues()
    name = await site.run(OBEYS_TERM, mounts=[cues.mount], runtime=runtime)
    await cues.ready()
    stopped = await site.node.stop(name, grace_s=15)
    assert stopped.exit is not None
    assert (stopped.exit.exit_code, stopped.exit.reason) == (7, ExitReason.STOP)
    await site.told.exit(name)
    assert site.told.types(name) == ["created", "started", "stopping", "exited"]
    stopping = await site.told.event(name, "stopping")
    assert stopping.data == {"signal": 15, "grace_s": 15.0, "why": "command"}
    again = await site.node.stop(name)
    assert again.exit == stopped.exit


async def test_stop_kills_what_ignores_it_after_the_grace(site: Site) -> None:
    name, cues = await site.run_with_cues(IGNORES_TERM)
    await cues.ready()
    stopped = await site.node.stop(name, grace_s=0.3)
    assert stopped.exit is not None
    exit_ = stopped.exit
    assert (exit_.exit_code, exit_.signal, exit_.reason) == (137, 9, ExitReason.STOP)
    assert exit_.duration_us is not None
    assert exit_.duration_us > 300_000


async def test_stop_takes_the_containers_own_signal_and_grace(site: Site) -> None:
    cues = site.cues()
    script = "trap 'exit 8' USR2; echo set >/cue/ready; while :; do sleep 1000 & wait; done"
    name = await site.run(shell(script), mounts=[cues.mount], stop_signal="USR2", grace_s=15)
    await cues.ready()
    stopped = await site.node.stop(name)
    assert stopped.exit is not None
    assert stopped.exit.exit_code == 8


async def test_a_paused_one_is_thawed_to_be_stopped(site: Site) -> None:
    name, cues = await site.run_with_cues(OBEYS_TERM)
    await cues.ready()
    await site.node.pause(name)
    stopped = await site.node.stop(name, grace_s=15)
    assert stopped.exit is not None
    assert (stopped.exit.exit_code, stopped.exit.reason) == (7, ExitReason.STOP)
    await site.told.exit(name)
    told = site.told.types(name)
    assert told == ["created", "started", "paused", "stopping", "resumed", "exited"]


async def test_stop_of_one_that_was_never_started_says_so(site: Site) -> None:
    name = site.name()
    await site.node.create(site.spec(name))
    with pytest.raises(WrongState, match="delete it"):
        await site.node.stop(name)


@pytest.mark.parametrize("runtime", ["crun", "runc"])
async def test_pause_freezes_and_resume_thaws(site: Site, runtime: str) -> None:
    name = await site.run(runtime=runtime)
    paused = await site.node.pause(name)
    assert paused.state == "paused"
    assert _frozen((await site.node.inspect(name)).cgroup)
    with pytest.raises(WrongState):
        await site.node.pause(name)
    with pytest.raises(WrongState, match="resume it first"):
        await site.node.exec(name, command("exit 0"))
    resumed = await site.node.resume(name)
    assert resumed.state == "running"
    assert resumed.revision == paused.revision + 1
    assert not _frozen((await site.node.inspect(name)).cgroup)
    with pytest.raises(WrongState):
        await site.node.resume(name)
    await site.told.event(name, "resumed")
    assert site.told.types(name) == ["created", "started", "paused", "resumed"]


@pytest.mark.parametrize("runtime", ["crun", "runc"])
async def test_update_changes_the_cgroup_and_nothing_that_was_not_given(
    site: Site, runtime: str
) -> None:
    name = await site.run(runtime=runtime, limits=Limits(memory_bytes=64 << 20, pids=50))
    before = await site.node.inspect(name)
    updated = await site.node.update(name, Limits(memory_bytes=128 << 20))
    assert updated.revision == before.revision + 1
    stats = (await site.node.stats(name)).stats
    assert stats.memory is not None
    assert stats.pids is not None
    assert (stats.memory.limit_bytes, stats.pids.limit) == (128 << 20, 50)
    told = await site.told.event(name, "updated")
    assert told.data["limits"] == {"memory_bytes": 128 << 20, "pids": 50}
    assert (await site.node.inspect(name)).spec.limits == Limits(memory_bytes=128 << 20, pids=50)
    with pytest.raises(Invalid):
        await site.node.update(name, Limits())


async def test_delete_of_one_that_runs_wants_force(site: Site) -> None:
    name = await site.run()
    with pytest.raises(WrongState, match="force"):
        await site.node.delete(name)
    pid = (await site.node.inspect(name)).pid
    assert pid is not None
    init = psutil.Process(pid)
    deleted = await site.node.delete(name, force=True)
    assert deleted.exit is not None
    assert (deleted.exit.exit_code, deleted.exit.reason) == (137, ExitReason.KILL)
    assert has_ended(init)
    await site.told.event(name, "deleted")
    assert site.told.types(name) == ["created", "started", "exited", "deleted"]


@pytest.mark.parametrize("state", ["created", "paused", "stopped"])
async def test_force_deletes_from_any_state(site: Site, state: str) -> None:
    name = site.name()
    await site.node.create(site.spec(name))
    if state != "created":
        await site.node.start(name)
        await (site.node.pause(name) if state == "paused" else site.node.stop(name, grace_s=0))
    assert (await site.node.inspect(name)).state == state
    await site.node.delete(name, force=True)
    await site.told.event(name, "deleted")
    exits = [each for each in site.told.types(name) if each == "exited"]
    assert len(exits) == (0 if state == "created" else 1)
    with pytest.raises(NotFound):
        await site.node.delete(name)


async def test_force_takes_the_execs_along(site: Site) -> None:
    name = await site.run()
    begun = await site.node.exec(name, command("sleep 1000"), wait=False)
    assert begun.pid is not None
    exec_ = psutil.Process(begun.pid)
    await site.node.delete(name, force=True)
    assert has_ended(exec_)
    await site.told.event(name, "deleted")
    assert f"exited:{begun.process}" in site.told.types(name)


def _frozen(cgroup: str) -> bool:
    """As the freezer says (cgroup-v1/freezer-subsystem.rst; cgroup-v2.rst, cgroup.events)."""
    for root in cgroup_roots(cgroup):
        v1, v2 = root / "freezer.state", root / "cgroup.events"
        if v1.exists():
            return v1.read_text().strip() == "FROZEN"
        if v2.exists() and _has_processes(root):
            return "frozen 1" in v2.read_text()
    raise AssertionError(f"no freezer for {cgroup}")


def _has_processes(root: Path) -> bool:
    return bool((root / "cgroup.procs").read_text())
