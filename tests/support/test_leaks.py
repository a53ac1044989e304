"""The gate itself: each kind of leak is seen, told and swept away; a clean test passes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Timer

import pytest
from tests.support import leaks
from tests.support.bare import BareContainer
from tests.support.bundle import write_bundle
from tests.support.eventually import wait_until
from tests.support.leaks import LeakGate, Leaks
from tests.support.machine import MARK, cgroup_roots
from tests.support.requirements import requires

SLEEP = ("sleep", "600")


@pytest.fixture(autouse=True)
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "GRACE_S", 0.2)


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[LeakGate]:
    gate = LeakGate(tmp_path)
    yield gate
    gate.close()


def spawn_orphan(*argv: str, env: dict[str, str] | None = None, cwd: Path | None = None) -> int:
    """Start `argv` so that init or another reaper adopts it, as conmon does with itself."""
    script = "import subprocess, sys; print(subprocess.Popen(sys.argv[1:], stdout=2).pid)"
    done = subprocess.run(
        [sys.executable, "-S", "-W", "ignore", "-c", script, *argv],
        stdout=subprocess.PIPE,
        check=True,
        timeout=30,
        env=env,
        cwd=cwd,
    )
    return int(done.stdout)


def pids(told: Leaks) -> list[int]:
    return [left.process.pid for left in told.processes]


def runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def test_nothing_left_is_no_leak(gate: LeakGate, tmp_path: Path) -> None:
    with (tmp_path / "file").open("w"):
        subprocess.run(["true"], check=True, timeout=30)
    assert not gate.close()
    assert MARK not in os.environ


def test_what_ends_within_the_grace_is_no_leak(
    gate: LeakGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaks, "GRACE_S", 20)
    pid = spawn_orphan(*SLEEP)
    assert gate.find().processes
    Timer(0.3, os.kill, (pid, 9)).start()
    assert not gate.close()


def test_a_running_child_is_told_and_killed(gate: LeakGate) -> None:
    with subprocess.Popen(SLEEP, env={}) as child:
        assert f"process {child.pid} " in gate.close().lines()[0]
        assert not runs(child.pid)


def test_an_unreaped_child_is_told(gate: LeakGate) -> None:
    with subprocess.Popen(["true"]) as child:
        wait_until(lambda: not runs(child.pid), "the child has ended")
        assert "zombie" in gate.close().lines()[0]


def test_an_orphan_is_known_by_the_mark_in_its_environment(gate: LeakGate) -> None:
    pid = spawn_orphan(*SLEEP)
    assert pids(gate.close()) == [pid]
    assert not runs(pid)


def test_an_orphan_without_environment_is_known_by_a_directory_it_names(
    gate: LeakGate, tmp_path: Path
) -> None:
    pid = spawn_orphan("tail", "-f", "/dev/null", str(tmp_path / "x"), env={})
    assert pids(gate.close()) == [pid]
    assert not runs(pid)


def test_an_orphan_of_somebody_else_is_left_alone(gate: LeakGate) -> None:
    pid = spawn_orphan(*SLEEP, env={"PATH": os.environ["PATH"]})
    try:
        assert not gate.close()
        assert runs(pid)
    finally:
        os.kill(pid, 9)


def test_a_descriptor_is_told_and_not_closed(gate: LeakGate) -> None:
    inside, outside = os.pipe()
    try:
        told = gate.close()
        assert len(told.descriptors) == 2
        assert os.write(outside, b"x") == 1
    finally:
        os.close(inside)
        os.close(outside)


@requires("root")
def test_a_mount_is_told_and_undone(gate: LeakGate, tmp_path: Path) -> None:
    place = tmp_path / "a place"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", place], check=True, timeout=30)
    assert gate.close().lines() == [f"mount {place}"]
    assert not place.is_mount()


@requires("root", "busybox-static", "crun", "conmon")
@pytest.mark.parametrize("monitored", [True, False], ids=["with-conmon", "conmon-killed"])
def test_a_container_is_told_with_its_monitor_and_its_cgroups(
    gate: LeakGate, rootfs: Path, tmp_path: Path, monitored: bool
) -> None:
    bundle = write_bundle(tmp_path / "bundle", rootfs, SLEEP, cgroup=f"{gate.cgroup}/ctr/left")
    container = BareContainer(tmp_path / "left", bundle, "left")
    init = container.create()
    container.start()
    if not monitored:
        monitor = int((container.directory / "conmon.pid").read_text())
        os.kill(monitor, 9)
        wait_until(lambda: not runs(monitor), "conmon has ended")

    told = gate.close()

    assert init in pids(told)
    assert len(told.processes) == (2 if monitored else 1)
    assert {directory.name for directory in told.cgroups} == {"left"}
    assert not runs(init)
    assert not list(cgroup_roots(gate.cgroup))
