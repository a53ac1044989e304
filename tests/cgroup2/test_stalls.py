"""Stalls on cgroup v2, with the right (CAP_SYS_RESOURCE) that many test machines lack: the kernel
watches by a thread of its own then."""

from __future__ import annotations

from pathlib import Path

from tests.contract.worlds import SLEEP, World, shell
from tests.support.requirements import requires

from wharfside_agent.watchers.stalls import CgroupStalls
from wharfside_protocol.event_facts import PressureOn

pytestmark = requires("root", "cgroup-v2", "psi", "crun", "conmon", "busybox-static")

BOUND_S = 120.0
PEACE_S = 5.0

GROWS = "sleep 1; dd if=/dev/zero of=/dev/null bs=48M count=1000"


async def test_one_that_is_held_back_rings_and_one_that_sleeps_does_not(crun: World) -> None:
    """memory.high makes its tasks wait for memory that nobody can give up."""
    assert crun.kit
    stalls = CgroupStalls(crun.kit.mounts, f"{crun.kit.delegated}/ctr")
    stalls.listen({PressureOn.MEMORY: 0.15})
    idle = await crun.run(*SLEEP)
    await stalls.rung(PEACE_S)  # of its making
    assert not await stalls.rung(PEACE_S)
    held = await crun.run(*shell(GROWS))
    Path(f"/sys/fs/cgroup{held.cgroup}/memory.high").write_text(str(16 << 20))
    assert await stalls.rung(BOUND_S)
    pressures = [stalls.read(each.cgroup, PressureOn.MEMORY) for each in (held, idle)]
    totals = [-1 if each is None else each.some.total_us for each in pressures]
    stalls.close()
    assert totals[0] > totals[1] >= 0
