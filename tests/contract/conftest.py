"""The contract suite: one set of rows for the fake, crun and runc (ports/runtime.py)."""

from tests.contract.fixtures import (
    crun,
    crun_made,
    every_made,
    machine_probed,
    machine_rootfs,
    own_cgroup,
    real,
    real_made,
    runc,
    runc_made,
    subreaper,
    world,
)

__all__ = [
    "crun",
    "crun_made",
    "every_made",
    "machine_probed",
    "machine_rootfs",
    "own_cgroup",
    "real",
    "real_made",
    "runc",
    "runc_made",
    "subreaper",
    "world",
]
