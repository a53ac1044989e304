"""The contract's rows on cgroup v2: by crun alone, because the machine is ten times slower."""

from __future__ import annotations

import pytest
from tests.contract.fixtures import (
    crun,
    machine_probed,
    machine_rootfs,
    make_world,
    own_cgroup,
    real,
    subreaper,
    world,
)
from tests.contract.worlds import World

__all__ = ["crun", "machine_probed", "machine_rootfs", "own_cgroup", "real", "subreaper", "world"]


@pytest.fixture
def every_made(request: pytest.FixtureRequest) -> World:
    return make_world(request, "crun")


@pytest.fixture
def real_made(every_made: World) -> World:
    return every_made


@pytest.fixture
def crun_made(every_made: World) -> World:
    return every_made
