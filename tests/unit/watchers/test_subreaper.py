"""Nobody's dead children are reaped; everybody else's are left to them."""

from __future__ import annotations

import os
import subprocess

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
    assert sweeper.sweep() == 0
    assert is_there(child.pid)
    late = dead_child()
    assert sweeper.sweep() == 1
    assert not is_there(child.pid) and is_there(late.pid)
    assert late.wait() == 0
    assert sweeper.sweep() == 0
    child.poll()


def test_a_living_child_is_left_alone() -> None:
    sweeper = Sweeper()
    with subprocess.Popen(["sleep", "60"]) as child:
        assert sweeper.sweep() == sweeper.sweep() == 0
        assert child.poll() is None
        child.kill()
