"""The ground of the bundle tests, once for each runtime."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.bundle.ground import CGROUPS, Ground
from tests.support.leaks import LeakGate
from tests.support.requirements import need
from tests.support.rootfs import build_rootfs

from wharfside_agent.core.placement import Places
from wharfside_agent.core.policy.rules import Rules, RuleSet
from wharfside_agent.runtime.bundle import Bundles, probe_machine


def open_networks(name: str) -> RuleSet:
    """A policy that lets containers into any network."""
    return RuleSet(name, Rules(host_namespaces=("network",), namespace_roots=("/proc",)))


@pytest.fixture(params=["crun", "runc"])
def ground(request: pytest.FixtureRequest, tmp_path: Path, leak_gate: LeakGate) -> Iterator[Ground]:
    need(request.param)
    image = build_rootfs(tmp_path / "roots/image")
    (image / "etc/lower").write_text("lower")
    (tmp_path / "shared").mkdir()
    places = Places(tmp_path / "run", tmp_path / "state")
    roots, mounts = [tmp_path / "roots"], [tmp_path / "shared"]
    bundles = Bundles(places, roots, mounts, probe_machine(CGROUPS), open_networks, ("crun",))
    ground = Ground(tmp_path, request.param, bundles, places, f"{leak_gate.cgroup}/box")
    yield ground
    for run in (1, 2):
        ground.oci("delete", "--force", ground.place(run).runtime_id)
        bundles.remove(ground.place(run), False)
    assert [*places.runs.glob("*"), *places.layers.glob("*"), *places.logs.glob("*")] == []
