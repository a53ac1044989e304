"""What begins with a launch, for crun and runc alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.contract.worlds import SLEEP, World, bounded

from wharfside_agent.core.cgroup_paths import CgroupMounts
from wharfside_agent.runtime.driver import Driver
from wharfside_agent.runtime.head_start import HeadStart
from wharfside_protocol.specs import ProcessSpec


async def test_each_launch_has_a_head_start(real: World, tmp_path: Path) -> None:
    moves, told = tmp_path / "cgroup.procs", tmp_path / "told"
    moves.touch()
    told.write_text("0::/\n")
    assert real.kit and real.probed
    start = HeadStart(CgroupMounts("v2", tmp_path), told, quick_seconds=0)
    real.runtime = Driver(replace(real.kit, head_start=start), real.probed)
    container = await real.run(*SLEEP)
    await start.over()
    assert moves.read_text() == "0"
    moves.write_text("")
    await bounded(container.exec("e1", ProcessSpec(args=list(SLEEP))))
    await start.over()
    assert moves.read_text() == "0"
