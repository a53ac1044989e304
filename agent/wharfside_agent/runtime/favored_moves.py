"""Has the kernel favor moves between cgroups, where the operator asks for that.

A launch moves a process into a cgroup, and the first move in a while waits for a grace period of
RCU, 4 to 18 ms (head_start.py). With the mount option `favordynmods` (cgroup-v2.rst) none does, and
forks and exits of all programs on the host take a little more. It is the host's, and for good:
Linux 6.18 does not go back before the next boot. So it is never on by itself.
"""

from __future__ import annotations

from pathlib import Path

from wharfside_agent.core.cgroup_mounts import favors_moves
from wharfside_agent.core.cgroup_paths import CgroupMounts
from wharfside_agent.runtime import spawn
from wharfside_protocol.errors import RuntimeFailed

MOUNTINFO = Path("/proc/self/mountinfo")


def are_favored() -> bool:
    return favors_moves(MOUNTINFO.read_text())


async def favor(mounts: CgroupMounts) -> None:
    """Asks for it, by the mount of version 2, which the hybrid has, too. Idempotent.

    By mount(8), which keeps the other options of the mount.

    Raises:
        RuntimeFailed: the kernel does not; it says what to do.
    """
    if are_favored():
        return
    if mounts.unified is None:
        raise RuntimeFailed(
            "favordynmods needs a mount of cgroup version 2: mount -t cgroup2 cgroup2 FOLDER"
        )
    done = await spawn.run(["mount", "-o", "remount,favordynmods", str(mounts.unified)])
    if done.code != 0:
        raise RuntimeFailed(
            f"favordynmods needs Linux 6.1 or later: {done.stderr}", path=str(mounts.unified)
        )
    if not are_favored():
        raise RuntimeFailed(
            f"the kernel took no notice of favordynmods on {mounts.unified}: remount it from the "
            "host's own cgroup namespace",
            path=str(mounts.unified),
        )
