"""The ground on cgroup v2: what kernel, crun and conmon tell of an OOM, without the agent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.bare import BareContainer
from tests.support.bundle import write_bundle
from tests.support.leaks import LeakGate
from tests.support.requirements import requires

pytestmark = requires("root", "cgroup-v2", "crun", "conmon")

LIMIT = 32 * 1024 * 1024
EATER = ("dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1")


@pytest.fixture
def eater(leak_gate: LeakGate, rootfs: Path, tmp_path: Path) -> Iterator[BareContainer]:
    """A created container whose init needs twice the memory that it may have."""
    bundle = write_bundle(
        tmp_path / "bundle", rootfs, EATER, cgroup=f"{leak_gate.cgroup}/eater", memory_bytes=LIMIT
    )
    container = BareContainer(tmp_path / "eater", bundle, "eater")
    container.create()
    yield container
    container.delete()


def test_an_oom_kill_shows_in_memory_events_and_in_the_exit_file(
    eater: BareContainer, leak_gate: LeakGate
) -> None:
    cgroup = Path(f"/sys/fs/cgroup{leak_gate.cgroup}/eater")
    assert (cgroup / "memory.max").read_text() == f"{LIMIT}\n"
    assert _events(cgroup)["oom_kill"] == 0

    assert eater.start_and_wait() == 137

    assert _events(cgroup)["oom_kill"] == 1
    assert (eater.persist / "oom").exists()


def _events(cgroup: Path) -> dict[str, int]:
    lines = (cgroup / "memory.events").read_text().splitlines()
    return {name: int(count) for name, count in (line.split() for line in lines)}
