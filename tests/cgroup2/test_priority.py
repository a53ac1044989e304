"""Under the cpu controller niceness counts within a cgroup alone: so the agent's own goes first."""

from __future__ import annotations

from pathlib import Path

from tests.support.leaks import LeakGate
from tests.support.requirements import requires

from wharfside_agent.runtime.priority import cgroup_first

pytestmark = requires("root", "cgroup-v2")


def test_the_agents_leaf_goes_before_its_siblings(leak_gate: LeakGate) -> None:
    top = Path(f"/sys/fs/cgroup{leak_gate.cgroup}")
    for leaf in ("agent", "ctr"):
        (top / leaf).mkdir(parents=True)
    for folder in (top.parent, top):
        (folder / "cgroup.subtree_control").write_text("+cpu")
    cgroup_first(top / "agent")
    assert _niceness(top / "agent") < _niceness(top / "ctr") == 0


def _niceness(leaf: Path) -> int:
    return int((leaf / "cpu.weight.nice").read_text())
