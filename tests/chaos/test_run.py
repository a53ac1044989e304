"""Everything dies at random; what was told is what the kernel saw. See tests/chaos/run."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from tests.chaos.runner.faults import PACES
from tests.chaos.runner.ground import make_ground
from tests.chaos.runner.run import Enough, Plan, run_chaos
from tests.support.requirements import need

NEEDED = ("root", "conmon", "crun", "runc", "busybox-static", "nats-server")
SECONDS = 40.0
SOAK_SECONDS = 300.0
CLUSTER_SECONDS = 150.0
"""Elections take their time: a shorter run has too few of them."""


def test_nothing_is_lost_doubled_or_invented(tmp_path: Path) -> None:
    _run(tmp_path, SECONDS)


@pytest.mark.soak
def test_nor_in_a_long_run(tmp_path: Path) -> None:
    _run(tmp_path, SOAK_SECONDS)


@pytest.mark.soak
def test_nor_on_three_servers(tmp_path: Path) -> None:
    _run(tmp_path, CLUSTER_SECONDS, servers=3)


def _run(folder: Path, seconds: float, servers: int = 1) -> None:
    for name in NEEDED:
        need(name)
    seed = time.time_ns() % 2**32
    print(f"seed {seed}")
    with make_ground(folder, servers) as ground:
        enough = Enough(commands=seconds + 1, jobs=seconds, deaths=seconds / 5 + 1)
        outcome = run_chaos(ground, Plan(seconds, seed, PACES["heavy"], enough))
    verdict = outcome.verdict
    assert verdict.good, f"{outcome.stories()}\n{verdict.table()}"
    assert json.loads(json.dumps(verdict.to_json()))["seed"] == seed
    # It was a run: enough was done, and enough was hurt.
    assert verdict.commands > seconds
    assert verdict.exits > seconds / 2
    agent_deaths = sum(n for kind, n in verdict.faults.items() if kind.startswith("agent"))
    assert agent_deaths > seconds / 5
