"""Cgroup files, mount tables and process lines as kernels write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from wharfside_agent.core.cgroup_mounts import parse_cgroup_mounts
from wharfside_agent.core.cgroup_text import (
    PRESSURES,
    V1_USAGE,
    V2_USAGE,
    parse_number,
    parse_pressure,
    usage,
    v1_stats,
    v2_stats,
)
from wharfside_agent.core.proc_text import machine_usage, parse_stat
from wharfside_protocol.errors import Unsupported
from wharfside_protocol.stats import IoDevice, Stats

AT = "2026-11-23T21:28:27.000000000Z"

V2 = {
    "cpu.stat": "usage_usec 900\nuser_usec 600\nsystem_usec 300\n"
    "nr_periods 4\nnr_throttled 2\nthrottled_usec 70\n",
    "memory.current": "4096\n",
    "memory.peak": "8192\n",
    "memory.max": "max\n",
    "memory.stat": "anon 1000\nfile 2000\nkernel 3\n",
    "memory.events": "low 0\nhigh 0\nmax 3\noom 2\noom_kill 1\noom_group_kill 0\n",
    "io.stat": "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n7:0 \n",
    "pids.current": "3\n",
    "pids.max": "20\n",
    "memory.pressure": "some avg10=1.50 avg60=0.25 avg300=0.00 total=123\n"
    "full avg10=0.50 avg60=0.00 avg300=0.00 total=45\n",
    "cpu.pressure": "some avg10=0.00 avg60=0.00 avg300=0.00 total=7\n",
}

V1 = {
    "cpuacct.usage": "900000\n",
    "cpuacct.stat": "user 6\nsystem 3\n",
    "cpu.stat": "nr_periods 4\nnr_throttled 2\nthrottled_time 70000\n",
    "memory.usage_in_bytes": "4096\n",
    "memory.max_usage_in_bytes": "8192\n",
    "memory.limit_in_bytes": "9223372036854771712\n",
    "memory.stat": "cache 1\nrss 2\ntotal_cache 2000\ntotal_rss 1000\n",
    "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
    "blkio.throttle.io_service_bytes_recursive": "8:0 Read 1\n8:0 Write 2\n8:0 Total 3\nTotal 3\n",
    "blkio.throttle.io_serviced_recursive": "8:0 Read 3\n8:0 Write 4\nTotal 7\n",
    "pids.current": "3\n",
    "pids.max": "20\n",
}
V1_HYBRID = V1 | {name: text for name, text in V2.items() if name in PRESSURES}


def test_both_versions_tell_the_same_figures() -> None:
    new, old = v2_stats(V2, AT), v1_stats(V1, AT)
    assert (new.cgroup, old.cgroup) == ("v2", "v1")
    assert new.memory == old.memory and new.memory
    assert (new.memory.anon_bytes, new.memory.oom_kills) == (1000, 1)
    assert new.memory.limit_bytes is None
    assert new.pids == old.pids
    assert (
        new.io
        == old.io
        == [IoDevice(device="8:0", read_bytes=1, written_bytes=2, reads=3, writes=4)]
    )
    assert new.cpu and old.cpu
    assert (new.cpu.usage_us, new.cpu.throttled_us) == (old.cpu.usage_us, old.cpu.throttled_us)
    assert old.cpu.user_us == 60_000


@pytest.mark.parametrize("stats", [v2_stats(V2, AT), v1_stats(V1_HYBRID, AT)])
def test_pressure_has_some_and_perhaps_full(stats: Stats) -> None:
    assert stats.memory_pressure and stats.memory_pressure.full
    assert (stats.memory_pressure.some.avg10, stats.memory_pressure.full.total_us) == (1.5, 45)
    assert stats.cpu_pressure and stats.cpu_pressure.full is None
    assert stats.io_pressure is None
    assert parse_pressure("") is None


def test_files_that_are_not_there_leave_their_part_out() -> None:
    for stats in (v1_stats({}, AT), v2_stats({}, AT)):
        assert stats.cpu is stats.memory is stats.pids is None
        assert stats.io == []


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("7\n", 7),
        ("0", 0),
        ("max\n", None),
        ("", None),
        (None, None),
        ("9223372036854771712", None),
    ],
)
def test_numbers(text: str | None, number: int | None) -> None:
    assert parse_number(text) == number


HYBRID = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/me\\040mory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""
PURE = "41 31 0:38 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"


def test_hybrid_is_v1_with_a_tree_a_controller() -> None:
    mounts = parse_cgroup_mounts(HYBRID)
    assert (mounts.version, mounts.unified) == ("v1", Path("/sys/fs/cgroup/unified"))
    assert mounts.at("/a/b").folder("memory") == Path("/sys/fs/cgroup/me mory/a/b")
    assert mounts.at("/a").folder("cpu") == mounts.at("/a").folder("cpuacct")
    assert mounts.at("/a").folder("pids") is None
    assert "name=systemd" in mounts.controllers


def test_v2_alone_is_one_tree() -> None:
    mounts = parse_cgroup_mounts(PURE)
    assert mounts.version == "v2"
    assert mounts.at("/a").folder("memory") == Path("/sys/fs/cgroup/a")


def test_no_cgroups_are_unsupported() -> None:
    with pytest.raises(Unsupported):
        parse_cgroup_mounts("22 27 0:21 / /proc rw,relatime - proc proc rw\n")


def test_a_command_may_look_like_the_rest_of_its_line() -> None:
    rest = " ".join(str(number) for number in range(5, 53))
    stat = parse_stat(f"42 (a) R 1 (b) Z 7 {rest}")
    assert (stat.pid, stat.state, stat.parent, stat.start_time) == (42, "Z", 7, 22)
    with pytest.raises(ValueError, match="not a line"):
        parse_stat("42 (a) R")


def test_a_usage_has_what_the_stats_have() -> None:
    for texts, names, stats in (
        (V2, set(V2_USAGE), v2_stats(V2, AT)),
        (
            V1_HYBRID,
            {name for of_one in V1_USAGE.values() for name in of_one},
            v1_stats(V1_HYBRID, AT),
        ),
    ):
        told = usage({name: text for name, text in texts.items() if name in names}, 7)
        assert stats.cpu and stats.memory and stats.pids
        assert (told.uptime_us, told.cpu_us) == (7, stats.cpu.usage_us)
        assert told.memory_bytes == stats.memory.usage_bytes
        assert told.memory_limit_bytes is None
        assert (told.pids, told.pids_limit) == (3, 20)
        pressure = stats.memory_pressure
        assert told.memory_stalled == (pressure.some.avg10 if pressure else None)


def test_a_usage_of_nothing_is_empty() -> None:
    told = usage({}, 7)
    assert told.cpu_us is told.memory_bytes is told.pids is told.io_stalled is None


MACHINE = {
    "stat": "cpu  100 20 30 4000 500 6 7 8 90 0\ncpu0 1 2 3 4 5 6 7 8 9 0\nintr 5\n",
    "meminfo": "MemTotal: 1000 kB\nMemFree: 10 kB\nMemAvailable: 400 kB\nHugePages_Total: 0\n",
    "loadavg": "0.20 0.18 0.12 1/80 11206\n",
    "pressure/io": "some avg10=2.50 avg60=0.25 avg300=0.00 total=123\n",
}


def test_the_machines_usage() -> None:
    told = machine_usage(MACHINE, 7)
    assert told.cpu_us == (100 + 20 + 30 + 6 + 7 + 8) * 10_000, "neither idle nor waiting for I/O"
    assert (told.memory_bytes, told.memory_limit_bytes) == (600 * 1024, 1000 * 1024)
    assert (told.pids, told.io_stalled, told.cpu_stalled) == (80, 2.5, None)


@pytest.mark.parametrize("texts", [{}, {"stat": "intr 5\n", "meminfo": "?", "loadavg": ""}])
def test_what_a_machine_does_not_tell_is_not_made_up(texts: dict[str, str]) -> None:
    told = machine_usage(texts, 7)
    assert told.cpu_us is told.memory_bytes is told.pids is told.cpu_stalled is None
