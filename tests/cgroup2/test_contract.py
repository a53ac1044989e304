"""The rows of the contract whose outcome is the cgroup's, on cgroup v2, and placement there."""

from __future__ import annotations

import os
from pathlib import Path

from tests.contract.test_control import (
    test_a_frozen_one_can_be_killed,
    test_a_usage_is_the_short_form_of_the_stats,
    test_freeze_is_a_pause_and_thaw_its_end,
    test_oom_of_a_child_is_told_and_is_not_inits_end,
    test_oom_of_init_is_told_and_proven,
    test_ooms_that_were_told_before_are_not_told_again,
    test_pause_freezes_and_resume_thaws,
    test_stats_are_the_cgroups,
    test_update_changes_what_is_given_and_nothing_else,
    test_update_of_cpu_and_pids,
)
from tests.contract.test_deaths import (
    test_a_killed_monitor_is_told_and_the_exit_is_exact,
    test_a_new_life_tells_what_ended_meanwhile,
)
from tests.contract.test_life import (
    test_delete_ends_what_is_frozen,
    test_sigkill_is_told_from_exit_137,
)
from tests.contract.worlds import SLEEP, World
from tests.support.requirements import requires

pytestmark = requires("root", "cgroup-v2", "crun", "conmon", "busybox-static")

__all__ = [
    "test_a_frozen_one_can_be_killed",
    "test_a_killed_monitor_is_told_and_the_exit_is_exact",
    "test_a_new_life_tells_what_ended_meanwhile",
    "test_a_usage_is_the_short_form_of_the_stats",
    "test_delete_ends_what_is_frozen",
    "test_freeze_is_a_pause_and_thaw_its_end",
    "test_oom_of_a_child_is_told_and_is_not_inits_end",
    "test_oom_of_init_is_told_and_proven",
    "test_ooms_that_were_told_before_are_not_told_again",
    "test_pause_freezes_and_resume_thaws",
    "test_sigkill_is_told_from_exit_137",
    "test_stats_are_the_cgroups",
    "test_update_changes_what_is_given_and_nothing_else",
    "test_update_of_cpu_and_pids",
]


async def test_agent_monitors_and_containers_have_cgroups_of_their_own(crun: World) -> None:
    container = await crun.run(*SLEEP)
    assert crun.kit
    top = crun.kit.delegated
    assert _cgroup(os.getpid()) == f"{top}/agent"
    assert _cgroup(container.init.trace.monitor.pid) == f"{top}/conmon"
    assert _cgroup(container.pid).startswith(f"{top}/ctr/")
    assert _cgroup(container.pid) == container.cgroup


async def test_pressure_is_in_the_stats(crun: World) -> None:
    container = await crun.run(*SLEEP)
    stats = container.stats()
    assert stats.cgroup == "v2"
    pressures = (stats.cpu_pressure, stats.memory_pressure, stats.io_pressure)
    for pressure in pressures:
        assert pressure is not None and 0 <= pressure.some.avg10 <= 100
    usage = container.usage()
    assert usage is not None
    stalls = (usage.cpu_stalled, usage.memory_stalled, usage.io_stalled)
    assert all(each is not None and 0 <= each <= 100 for each in stalls)


def _cgroup(pid: int) -> str:
    return Path(f"/proc/{pid}/cgroup").read_text().strip().rpartition(":")[2]
