"""Nobody's dead children are reaped; everybody else's are left to them."""

from __future__ import annotations

import asyncio
import os
import subprocess

from tests.support.eventually import eventually

from wharfside_agent.watchers.subreaper import Sweeper


def dead_child() -> subprocess.Popen[bytes]:
    child = subprocess.Popen(["/bin/true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    return child


def is_there(pid: int) -> bool:
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return False


def test_only_what_two_sweeps_found_dead_is_reaped() -> None:
    sweeper, child = Sweeper(), dead_child()
    assert not sweeper.sweep()
    assert is_there(child.pid)
    late = dead_child()
    assert sweeper.sweep()
    assert not is_there(child.pid) and is_there(late.pid)
    assert late.wait() == 0
    assert not sweeper.sweep()
    child.poll()


async def test_orphans_are_gone_within_a_second() -> None:
    children = [dead_child() for _ in range(3)]
    sweeping = asyncio.ensure_future(Sweeper().run())
    await eventually(lambda: not any(is_there(child.pid) for child in children), "all reaped")
    sweeping.cancel()
    for child in children:
        child.poll()


def test_a_living_child_is_left_alone() -> None:
    sweeper = Sweeper()
    with subprocess.Popen(["sleep", "60"]) as child:
        assert not sweeper.sweep() and not sweeper.sweep()
        assert child.poll() is None
        child.kill()
