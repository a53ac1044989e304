"""Ways in which others lost, doubled or made up an exit, each named by the thread it comes from.

docs/reliability.md has the table of all of them; those that are not here have their test
where their subject is.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from tests.chaos.processes import monitor_of, over, pid_of, stopped
from tests.chaos.test_monitors import needs_pidfd_info
from tests.integration.fifos import ENDS_ON_CUE, shell
from tests.integration.world import Site, command, kill, restart, start
from tests.support import machine
from tests.support.agent import AgentProcess
from tests.support.eventually import eventually

from wharfside_client import process
from wharfside_protocol.exits import ExitReason
from wharfside_protocol.states import INIT

PID_S = 60.0
"""Somebody else may take it in the moment before it is ours, and has it as long as he lives."""


async def test_a_late_kill_does_not_overwrite_the_code(site: Site, agent: AgentProcess) -> None:
    """containerd#4769, containerd#12400, moby#46212: 137 over 0, or two exits."""
    name, cues = await site.run_with_cues()
    monitor = monitor_of(await pid_of(site, name))
    with stopped(agent):
        cues.go("0")
        await over(monitor.pid)
        asked = [
            asyncio.create_task(each)
            for each in (
                site.node.signal(name, "KILL"),
                site.node.stop(name, grace_s=0),
                site.node.delete(name, force=True),
            )
        ]
        await site.fleet.nodes()  # answered after all of these are on their way
    await asyncio.gather(*asked, return_exceptions=True)
    with contextlib.suppress(Exception):
        await site.node.delete(name, force=True)
    await site.told.event(name, "deleted")
    exit_ = await site.told.exit(name)
    assert (exit_.exit_code, exit_.status_known) == (0, True)
    assert site.told.types(name).count("exited") == 1


async def test_a_name_used_again_has_none_of_its_predecessors_exits(
    site: Site, agent: AgentProcess
) -> None:
    """moby#46212: the exit of the one before is taken for the new one's."""
    name, lives = site.name(), 8
    waits = []
    for code in range(lives):
        made = await site.make(name, shell(f"exit {code}"))
        waits.append(
            asyncio.create_task(site.node.wait(name, incarnation=made.incarnation, timeout_s=90))
        )
        await site.node.delete(name, force=True)
    last, cues = await site.run(ENDS_ON_CUE, name=name, mounts=[(cue := site.cues()).mount]), cue
    assert (await site.node.inspect(last)).exit is None
    await restart(agent)
    assert (await site.node.inspect(last)).exit is None
    cues.go("99")
    for code, waited in enumerate(await asyncio.gather(*waits)):
        assert waited.exit is not None
        assert waited.exit.exit_code in (code, 137), "its own, or that of its delete"
    assert (await site.told.exit(name, nth=lives + 1)).exit_code == 99
    ends = [event for event in site.told.of(name) if event.type == "exited"]
    assert len({event.incarnation for event in ends}) == len(ends) == lives + 1


async def test_execs_that_end_with_init_are_each_told_and_before_it(site: Site) -> None:
    """containerd#9719, containerd#9999, containerd#10603: an exec's exit after init's, or never."""
    name, cues = await site.run_with_cues()
    lasting = [f"lasting-{number}" for number in range(6)]
    for id_ in lasting:
        await site.node.exec(name, process(["/bin/sleep", "1000"]), id=id_, wait=False)
    short = [f"short-{number}" for number in range(6)]
    begun = [
        asyncio.create_task(site.node.exec(name, command("exit 3"), id=id_, wait=False))
        for id_ in short
    ]
    cues.go("5")
    await asyncio.gather(*begun, return_exceptions=True)  # those too late are refused
    await site.told.exit(name)
    await site.node.delete(name, force=True)
    await site.told.event(name, "deleted")
    # on a busy machine a late one's start or refusal may follow: init's exit names it as pending
    inits = [each.type for each in site.told.of(name) if each.process in (None, INIT)]
    assert inits[-2:] == ["exited", "deleted"]
    for id_ in lasting:
        assert (await site.told.exit(name, id_)).exit_code == 137
    started = [e.process for e in site.told.of(name) if e.type == "exec-started"]
    ended = [e.process for e in site.told.of(name) if e.type == "exited"]
    assert sorted(map(str, started)) == sorted(str(each) for each in ended if each != "init")


async def test_an_oom_counter_that_is_gone_holds_no_exit_up(site: Site) -> None:
    """containerd 0088cabe9: the wait for OOM events hung the exits behind it."""
    name, cues = await site.run_with_cues()
    view = await site.node.inspect(name)
    assert view.pid is not None
    for cgroup in list(machine.cgroup_roots(f"{site.world.cgroup}/ctr/{view.incarnation.lower()}")):
        _evict(cgroup)
    cues.go("5")
    exit_ = await site.told.exit(name)
    assert (exit_.exit_code, exit_.oom_killed, exit_.reason) == (5, False, ExitReason.SELF)
    await site.node.delete(name)


def _evict(cgroup: Path) -> None:
    """Takes all processes out of a cgroup, and then the cgroup away, as an eager admin does."""
    top = cgroup
    while (top.parent / "cgroup.procs").exists():
        top = top.parent
    for each in machine.cgroups_below(cgroup):
        for pid in machine.members(each):
            (top / "cgroup.procs").write_text(str(pid))
        each.rmdir()


async def test_an_attach_client_that_does_not_read_holds_an_exit_up_no_longer_than_the_bound(
    site: Site,
) -> None:
    """moby#41827: somebody hangs on conmon's attach socket, and conmon hangs on him."""
    name, cues = await site.run_with_cues(shell("read go </cue/go; exec yes 0123456789abcdef"))
    view = await site.node.inspect(name)
    log = site.agent.folder / "state" / "logs" / view.incarnation.lower() / "1-init.log"
    folder, monitor = os.open(view.bundle, os.O_PATH), monitor_of(view.pid)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
        try:
            client.connect(f"/proc/self/fd/{folder}/attach")
        finally:
            os.close(folder)
        cues.go()
        await eventually(lambda: log.stat().st_size > 0, "output")
        await _stands_still(log)
        await site.node.signal(name, "KILL")
        exit_ = await site.told.exit(name)
        assert monitor.is_running(), "it hangs still, and the exit was told without it"
        assert exit_.exit_code == 137 if exit_.status_known else exit_.unknown_because
    await site.node.delete(name, force=True)
    assert site.told.types(name).count("exited") == 1


async def _stands_still(log: Path) -> None:
    """conmon writes no more: it waits for the one who does not read."""
    sizes = [0]

    def still() -> bool:
        sizes.append(log.stat().st_size)
        return len(sizes) > 15 and len(set(sizes[-15:])) == 1

    await eventually(still, "the log to stand still", every_s=0.1)


@needs_pidfd_info
async def test_a_pid_used_again_is_nobody_of_ours(site: Site, agent: AgentProcess) -> None:
    """containerd's processExits: a stranger with the pid of ours, told or killed for it."""
    dies, lives = await site.run(), await site.run_with_cues()
    init = psutil.Process(await pid_of(site, dies))
    watcher = monitor_of(await pid_of(site, lives[0]))
    await kill(agent)
    for each in (monitor_of(init.pid), init, watcher):
        each.kill()
        await over(each.pid)
    for each in (init, watcher):
        await eventually(lambda each=each: not psutil.pid_exists(each.pid), "its reaping")  # type: ignore[misc]
    with _stranger(init.pid) as first, _stranger(watcher.pid) as second:
        await start(agent)
        unknown = await site.told.exit(dies)
        assert (unknown.status_known, unknown.exit_code) == (False, None)
        await site.told.event(lives[0], "monitor-lost")
        lives[1].go("6")
        assert (await site.told.exit(lives[0])).exit_code == 6
        for name in (dies, lives[0]):
            await site.node.delete(name, force=True)
        assert (first.poll(), second.poll()) == (None, None), "they live on"


@contextmanager
def _stranger(pid: int) -> Iterator[subprocess.Popen[bytes]]:
    """A process of somebody else's that has this pid now."""
    until = time.monotonic() + PID_S
    while time.monotonic() < until:
        Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1))
        with subprocess.Popen(["/bin/sleep", "1000"]) as found:
            try:
                if found.pid == pid:
                    yield found
                    return
            finally:
                found.kill()
        time.sleep(0.02)
    raise AssertionError(f"pid {pid} cannot be had")
