"""The kernel's and conmon's words, weighed on real processes of our own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from wharfside_agent.core.exit_status import MONITOR_TIMEOUT
from wharfside_agent.ports.watcher import ProcessIdentity
from wharfside_agent.procs import proc_stat
from wharfside_agent.watchers import pidfd
from wharfside_agent.watchers.witnesses import (
    TICK_NS,
    ExitFile,
    Scene,
    read_exit_file,
)
from wharfside_agent.watchers.witnesses import (
    testimony as weigh,
)
from wharfside_protocol.exits import StatusSource

needs_exit_info = pytest.mark.skipif(
    not pidfd.kernel_tells_exits(), reason="needs Linux 6.15: PIDFD_INFO_EXIT"
)

# Its first thread ends with 5, the process with 3: wait(2) says 3.
LEADER_FIRST = """
import ctypes, os, threading, time
def rest():
    while open("/proc/self/stat").read().rpartition(")")[2].split()[0] != "Z": time.sleep(0.001)
    os._exit(3)
threading.Thread(target=rest).start()
ctypes.CDLL(None).syscall(60, 5)
"""


@contextmanager
def ended(*words: str) -> Iterator[tuple[int, int]]:
    """A pidfd and the wait status of a child that is over and reaped."""
    child = subprocess.Popen(words)
    fd = os.pidfd_open(child.pid)
    try:
        code = child.wait(timeout=20)
        yield fd, code << 8 if code >= 0 else -code
    finally:
        os.close(fd)


def scene(fd: int = -1) -> Scene:
    return Scene(fd=fd, conmons_child=True, monitor_lost=False, seen_at=None, now=1)


@needs_exit_info
@pytest.mark.parametrize("script", ["exit 0", "exit 7", "exit 137", "kill -9 $$", "kill -15 $$"])
def test_the_kernel_tells_exactly_after_the_reaping(script: str) -> None:
    with ended("/bin/sh", "-c", script) as (fd, status):
        assert pidfd.exit_info(fd) == status
        told = weigh(scene(fd), ExitFile(status >> 8 or 128 + status, 1) if status else None)
        assert (told.wait_status, told.source) == (status, StatusSource.PIDFD)


def test_a_process_whose_first_thread_ended_first_is_told_as_wait_tells_it() -> None:
    with ended(sys.executable, "-c", LEADER_FIRST) as (fd, status):
        assert status == 3 << 8
        told = weigh(scene(fd), ExitFile(3, 1))
        assert told.exit_file == 3
        assert told.wait_status in (status, None)


def test_conmons_code_wins_where_the_kernel_says_otherwise() -> None:
    with ended("/bin/sh", "-c", "exit 5") as (fd, _):
        told = weigh(scene(fd), ExitFile(3, 1))
    assert (told.wait_status, told.exit_file) == (None, 3)
    assert told.source is StatusSource.EXIT_FILE


def test_an_unreaped_child_of_ours_is_told_by_wait() -> None:
    child = subprocess.Popen(["/bin/sh", "-c", "exit 9"])
    fd = os.pidfd_open(child.pid)
    try:
        os.waitid(os.P_PIDFD, fd, os.WEXITED | os.WNOWAIT)
        assert pidfd.exit_info(fd) is None
        told = weigh(scene(fd), None)
        assert (told.wait_status, told.source) == (9 << 8, StatusSource.WAIT)
        assert told.monitor_lost
    finally:
        os.close(fd)
        child.wait()


@pytest.mark.parametrize("script", ["exit 0", "exit 7", "exit 137", "kill -9 $$", "kill -15 $$"])
def test_the_kernel_tells_exactly_before_the_reaping_too(script: str) -> None:
    child = subprocess.Popen(["/bin/sh", "-c", script])
    fd = os.pidfd_open(child.pid)
    try:
        os.waitid(os.P_PIDFD, fd, os.WEXITED | os.WNOWAIT)
        told = pidfd.zombie_status(fd)
        code = child.wait(timeout=20)
        assert told == (code << 8 if code >= 0 else -code)
        assert pidfd.zombie_status(fd) is None, "it is reaped"
    finally:
        os.close(fd)


def test_a_zombie_whose_first_thread_ended_first_is_told_as_wait_tells_it() -> None:
    child = subprocess.Popen([sys.executable, "-c", LEADER_FIRST])
    fd = os.pidfd_open(child.pid)
    try:
        os.waitid(os.P_PIDFD, fd, os.WEXITED | os.WNOWAIT)
        assert pidfd.zombie_status(fd) == 3 << 8
    finally:
        os.close(fd)
        child.wait()


@pytest.mark.parametrize(
    ("seen_at", "file", "at", "known"),
    [
        (5, None, 5, True),
        (None, ExitFile(3, 4), 4, True),
        (None, None, 1, False),
    ],
)
def test_the_time_is_known_where_somebody_saw_it(
    seen_at: int | None, file: ExitFile | None, at: int, known: bool
) -> None:
    told = weigh(replace(scene(), seen_at=seen_at), file)
    assert (told.exited_at, told.time_known) == (at, known)


def test_a_process_that_runs_is_no_zombie() -> None:
    fd = os.pidfd_open(os.getpid())
    assert pidfd.zombie_status(fd) is None
    os.close(fd)


def test_the_zero_of_a_conmon_that_was_no_parent_is_worth_nothing() -> None:
    told = weigh(replace(scene(), conmons_child=False), ExitFile(0, 1))
    assert (told.exit_file, told.source) == (None, StatusSource.NONE)
    assert "not its child" in told.detail


@needs_exit_info
def test_the_kernel_knows_better_than_that_zero() -> None:
    with ended("/bin/sh", "-c", "exit 4") as (fd, status):
        told = weigh(replace(scene(fd), conmons_child=False), ExitFile(0, 1))
        assert (told.wait_status, told.source) == (status, StatusSource.PIDFD)


def test_a_timeout_of_conmon_is_no_code() -> None:
    told = weigh(scene(), ExitFile(MONITOR_TIMEOUT, 1))
    assert told.timed_out and told.wait_status is None


def test_the_time_is_when_it_was_seen_but_no_later_than_conmon_wrote() -> None:
    seen, written = 50 * TICK_NS, 50 * TICK_NS - 1
    at = replace(scene(), seen_at=seen)
    assert weigh(at, ExitFile(0, written)).exited_at == seen
    assert weigh(at, ExitFile(0, TICK_NS)).exited_at == 2 * TICK_NS
    assert weigh(scene(), ExitFile(0, written)).exited_at == written
    assert weigh(scene(), None).exited_at == 1


@pytest.mark.parametrize("text", ["", "12x", "\n"])
def test_a_file_without_a_number_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "exit").write_text(text)
    assert read_exit_file(tmp_path) is None
    assert read_exit_file(tmp_path / "nothing") is None


def test_a_pidfd_is_only_opened_of_the_very_process() -> None:
    child = subprocess.Popen(["sleep", "60"])
    try:
        stat = proc_stat(child.pid)
        assert stat and stat.parent == os.getpid()
        fd, parent = pidfd.open_pidfd(ProcessIdentity(child.pid, stat.start_time))
        assert fd >= 0 and parent == os.getpid() and not pidfd.is_over(fd)
        assert pidfd.open_pidfd(ProcessIdentity(child.pid, stat.start_time + 1)) == (-1, None)
    finally:
        child.kill()
        child.wait()
    assert pidfd.is_over(fd)
    os.close(fd)
    assert pidfd.open_pidfd(ProcessIdentity(child.pid, stat.start_time)) == (-1, None)


@pytest.mark.parametrize(
    ("release", "tells"), [("6.18.44-x", True), ("6.15", True), ("6.1.0-9-amd64", False)]
)
def test_which_kernels_tell(release: str, tells: bool) -> None:
    assert pidfd.kernel_tells_exits(release) is tells
