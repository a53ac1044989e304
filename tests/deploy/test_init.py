"""The image's PID 1: one more life for a command that ends, no zombie, and an end when asked."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from tests.deploy.units import DEPLOY
from tests.support.eventually import wait_until
from tests.support.leaks import LeakGate
from tests.support.requirements import requires

pytestmark = requires("root", "unshare")
END_S = 20.0
TELLS_HUP = "trap 'echo told' HUP; echo alive $$; while :; do sleep 0.05; done"


@contextmanager
def init(*command: str) -> Iterator[tuple[subprocess.Popen[str], psutil.Process]]:
    """As PID 1 of a namespace: what started it, and itself."""
    outer = subprocess.Popen(
        ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", DEPLOY / "init", *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        wait_until(lambda: psutil.Process(outer.pid).children(), "a process 1")
        [first] = psutil.Process(outer.pid).children()
        yield outer, first
    finally:
        outer.kill()
        outer.wait(END_S)
        assert outer.stdout is not None
        outer.stdout.close()


def line(outer: subprocess.Popen[str], begin: str) -> str:
    """The next line that begins so."""
    assert outer.stdout is not None
    for text in outer.stdout:
        if text.startswith(begin):
            return text.strip()
    raise AssertionError(f"it ended before it said {begin!r}")


def test_a_command_that_ends_lives_again_and_later_each_time(leak_gate: LeakGate) -> None:
    with init("sh", "-c", "echo alive; exit 3") as (outer, _):
        assert line(outer, "wharfside-init").endswith("status 3; starting it again in 1 s")
        assert line(outer, "alive")
        assert line(outer, "wharfside-init").endswith("status 3; starting it again in 2 s")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_it_asks_its_command_and_ends(
    leak_gate: LeakGate, number: signal.Signals
) -> None:
    with init("sh", "-c", "echo alive; exec sleep 1000") as (outer, first):
        line(outer, "alive")
        first.send_signal(number)
        assert outer.wait(END_S) == 128 + signal.SIGTERM


def test_a_hangup_is_handed_on_and_ends_nothing(leak_gate: LeakGate) -> None:
    with init("sh", "-c", TELLS_HUP) as (outer, first):
        line(outer, "alive")
        for _ in range(2):
            first.send_signal(signal.SIGHUP)
            assert line(outer, "told")
        assert outer.poll() is None


def test_orphans_leave_no_zombie(leak_gate: LeakGate, tmp_path: Path) -> None:
    """Their parent is gone, as a conmon's is: they come to PID 1."""
    script = "for i in 1 2 3; do sh -c 'sleep 0.1 & exit'; done; echo alive; exec sleep 1000"
    with init("sh", "-c", script) as (outer, first):
        line(outer, "alive")
        wait_until(lambda: len(first.children(recursive=True)) == 1, "orphans are reaped")
