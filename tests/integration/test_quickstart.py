"""`./quickstart`, run as a newcomer does, piped; also interrupted, failing, and killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from tests.integration.gates import Gates
from tests.support.leaks import LeakGate
from tests.support.quickstart import CHECKOUT, Quickstart
from tests.support.requirements import requires

pytestmark = requires("root", "conmon", "crun", "runc", "busybox-static", "nats-server")

STEPS = 6


@pytest.fixture
def quickstart(leak_gate: LeakGate, tmp_path: Path) -> Iterator[Quickstart]:
    with Quickstart(tmp_path / "data") as running:
        yield running


@pytest.fixture
def gates(leak_gate: LeakGate, tmp_path: Path) -> Gates:
    return Gates(tmp_path / "gates")


@contextmanager
def at_its_pause(data: Path, gates: Gates) -> Iterator[tuple[Quickstart, ExitStack]]:
    """One that stands where its container is paused, until the stack is closed: all of it takes
    a second, and whoever looks may come later."""
    with ExitStack() as hold:
        hold.enter_context(gates.hold("resume"))
        with Quickstart(data, environment=gates.environment) as running:
            running.wait_for(r"demo/busy +paused")
            yield running, hold


def test_it_shows_and_checks_every_step(quickstart: Quickstart) -> None:
    assert quickstart.end() == 0, quickstart.text
    assert quickstart.lines[-1] == "quickstart: ok"
    assert "\x1b" not in quickstart.text
    numbered = re.findall(r"^(\d)\. ", quickstart.text, re.MULTILINE)
    assert numbered == [str(number) for number in range(1, STEPS + 1)]
    assert len(re.findall(r"^ok ", quickstart.text, re.MULTILINE)) == STEPS
    shown = re.findall(r"^\d\d:\d\d:\d\d\.\d+  demo", quickstart.text, re.MULTILINE)
    assert f"{STEPS} steps, {len(shown)} events, " in quickstart.text
    assert _events(quickstart, "demo/hello") == ["created", "started", "exited", "deleted"]
    assert _events(quickstart, "demo/glutton")[2:4] == ["oom", "exited"]
    _assert_told_once_after_the_restart(quickstart.lines)
    assert quickstart.left_cgroups() == []
    assert not (quickstart.data / "run").exists()


def test_an_interrupt_with_a_container_paused_leaves_nothing(tmp_path: Path, gates: Gates) -> None:
    with at_its_pause(tmp_path / "data", gates) as (quickstart, hold):
        with Quickstart(quickstart.data) as second:
            assert second.end() == 1
            assert "another quickstart works in" in second.text
        quickstart.signal(signal.SIGINT)
        hold.close()
        assert quickstart.end() == 130, quickstart.text
        assert quickstart.lines[-1] == "quickstart: interrupted, and everything is ended"
        assert quickstart.left_cgroups() == []


def test_a_step_that_fails_is_named_and_leaves_nothing(tmp_path: Path, gates: Gates) -> None:
    with at_its_pause(tmp_path / "data", gates) as (quickstart, hold):
        agent = int(quickstart.wait_for(r"node demo, pid (\d+)")[1])
        os.kill(agent, signal.SIGKILL)
        hold.close()
        assert quickstart.end() == 1, quickstart.text
        failed = (
            "quickstart: step 2 (One is paused and resumed) failed: agent ended by itself: see "
        )
        assert failed in quickstart.text
        assert "quickstart: ok" not in quickstart.lines
        assert quickstart.left_cgroups() == []


def test_after_a_kill_the_next_run_sweeps_up(tmp_path: Path, gates: Gates) -> None:
    with at_its_pause(tmp_path / "data", gates) as (quickstart, hold):
        quickstart.signal(signal.SIGKILL)
        hold.close()
        quickstart.end()
        assert quickstart.left_cgroups() != []
    with at_its_pause(quickstart.data, gates) as (again, hold):
        again.signal(signal.SIGTERM)
        hold.close()
        assert again.end() == 130, again.text
        assert again.left_cgroups() == []


def test_without_root_and_sudo_it_says_what_is_missing(tmp_path: Path) -> None:
    _link_commands(tmp_path, but={"sudo", "crun"})
    # a user namespace without a mapping: an ordinary user to everyone, who can read the checkout
    done = subprocess.run(
        ["unshare", "--user", CHECKOUT / "quickstart"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.returncode == 1
    assert "missing: crun\n" in done.stderr
    assert "apt-get install --no-install-recommends crun" in done.stderr
    assert "need root, and there is no sudo" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("arguments", [["--nonsense"], ["--data"]])
def test_wrong_arguments_are_told(arguments: list[str]) -> None:
    done = subprocess.run(
        [CHECKOUT / "quickstart", *arguments], capture_output=True, text=True, timeout=20
    )
    assert done.returncode in (1, 2)
    assert "--data" in done.stderr


def _assert_told_once_after_the_restart(lines: list[str]) -> None:
    """The exit that came while the agent was dead."""
    told = [line for line in lines if re.search(r"demo/orphan +exited", line)]
    assert len(told) == 1
    assert "code 137" in told[0]
    restarted = max(i for i, line in enumerate(lines) if re.search(r"demo +up", line))
    assert lines.index(told[0]) > restarted
    # the time that is told is the end's own: earlier than that of the agent's new life
    assert told[0][:12] < lines[restarted][:12]


def _events(quickstart: Quickstart, container: str) -> list[str]:
    lines = (line.split() for line in quickstart.lines)
    return [words[2] for words in lines if len(words) > 2 and words[1] == container]


def _link_commands(folder: Path, but: set[str]) -> None:
    for each in ("/usr/sbin", "/usr/bin"):
        for command in Path(each).iterdir():
            link = folder / command.name
            if command.name not in but and not link.is_symlink():
                link.symlink_to(command)
