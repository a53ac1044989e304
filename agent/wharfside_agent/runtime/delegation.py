"""The cgroup that the agent may fill: `<delegated>/{agent, conmon, ctr/<incarnation>}`.

cgroup v2 allows no processes in inner nodes, so the agent moves itself into a
leaf before anything else (cgroups(7), "no internal processes").
"""

from __future__ import annotations

import os
from pathlib import Path

from wharfside_agent.core.cgroup_paths import CgroupMounts
from wharfside_agent.runtime.priority import cgroup_first
from wharfside_protocol.errors import RuntimeFailed

OWN_CGROUP = Path("/proc/self/cgroup")

CONTAINERS_UNIT = "/wharfside.slice/wharfside-containers.service"
"""The cgroup of the unit of that name. Containers cannot lie in the agent's own: systemd starts a
service in the top of its cgroup, which is an inner node as long as containers run below it, so
that the first restart would fail for ever (219/CGROUP; DelegateSubgroup= came with systemd 254)."""


def delegated_path(mounts: CgroupMounts, wanted: str | None, node: str) -> str:
    """`wanted`; else the containers' unit; else the own cgroup where we are alone in it; else a
    fixed one. Both in the middle are version 2's."""
    if wanted is not None:
        return wanted
    if mounts.version == "v2" and mounts.unified is not None:
        if (mounts.unified / CONTAINERS_UNIT.lstrip("/")).is_dir():
            return CONTAINERS_UNIT
        own = _own_path()
        if own is not None and own != "/" and _alone_in(mounts, own):
            return own.removesuffix("/agent")
    return f"/wharfside/{node}"


def settle_in(mounts: CgroupMounts, delegated: str) -> None:
    """Makes the leaves and moves this process into its own. v1 needs none of it.

    Beside the containers' unit it stays where it is: systemd counts, limits and ends the agent
    as its own unit.

    Raises:
        RuntimeFailed: the cgroup may not be written: it was not delegated.
    """
    if mounts.version == "v1" or mounts.unified is None:
        return
    top = mounts.unified / delegated.lstrip("/")
    leaves = ("conmon", "ctr") if delegated == CONTAINERS_UNIT else ("agent", "conmon", "ctr")
    try:
        for leaf in leaves:
            (top / leaf).mkdir(parents=True, exist_ok=True)
        if "agent" in leaves:
            (top / "agent" / "cgroup.procs").write_text(str(os.getpid()))
        _enable_controllers(mounts.unified, top / "ctr")
        cgroup_first(top / "agent")
    except OSError as error:
        raise RuntimeFailed(
            f"cgroup {top} cannot be used ({error.strerror}): run as root, "
            "or under systemd with deploy/wharfside-containers.service"
        ) from error


def _enable_controllers(root: Path, leaf: Path) -> None:
    """Hands every controller down from the first folder that has them to `leaf`."""
    chain = [folder for folder in (leaf, *leaf.parents) if folder.is_relative_to(root)]
    for folder in reversed(chain):
        for controller in (folder / "cgroup.controllers").read_text().split():
            _enable(folder, controller)


def _enable(folder: Path, controller: str) -> None:
    """One at a time: one that cannot be had must not take the others along."""
    try:
        (folder / "cgroup.subtree_control").write_text(f"+{controller}")
    except OSError:
        return


def _own_path() -> str | None:
    for line in OWN_CGROUP.read_text().splitlines():
        hierarchy, _, path = line.split(":", 2)
        if hierarchy == "0":
            return path
    return None


def _alone_in(mounts: CgroupMounts, path: str) -> bool:
    assert mounts.unified is not None
    procs = (mounts.unified / path.lstrip("/") / "cgroup.procs").read_text().split()
    return procs == [str(os.getpid())]
