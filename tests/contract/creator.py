"""An agent that does nothing but create one container: the suite kills it in the midst of that.

creator.py RUNTIME RUN_DIR STATE_DIR CGROUP ROOTFS INCARNATION
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.contract.worlds import SLEEP, real_world

from wharfside_agent.core.placement import Places
from wharfside_agent.runtime.probe import probe
from wharfside_agent.watchers.mounts import read_cgroup_mounts
from wharfside_agent.watchers.subreaper import become_subreaper


async def create(
    runtime: str, run_dir: str, state_dir: str, cgroup: str, rootfs: str, incarnation: str
) -> None:
    places = Places(Path(run_dir), Path(state_dir))
    become_subreaper()
    probed = await probe(places)
    world = real_world(runtime, places, read_cgroup_mounts(), cgroup, probed, Path(rootfs))
    plan = world.plan(*SLEEP, incarnation=incarnation)
    await world.runtime.create(plan)
    await asyncio.sleep(60)


if __name__ == "__main__":
    asyncio.run(create(*sys.argv[1:]))
