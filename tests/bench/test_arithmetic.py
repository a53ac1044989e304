"""The bench's own arithmetic: a figure that is worked out wrongly would still look fine."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncIterator
from time import perf_counter

import pytest
from tests.bench import io_load, places
from tests.bench.comparison import BESIDE, Better, compare
from tests.bench.rounds import interleave, percentile
from tests.bench.scenarios.exit_to_event import delays
from tests.support.requirements import need

from wharfside_client.session import Item
from wharfside_protocol.io_frames import Chunk, Lost, StreamName


def test_ratio_above_one_is_better_in_both_directions() -> None:
    slower = compare("t", "ms", 40.0, "script", 30.0, goal=0.7)
    fewer = compare("t", "/s", 30.0, "script", 40.0, goal=0.8, better=Better.HIGHER)
    assert (slower.ratio, slower.met) == (0.75, True)
    assert (fewer.ratio, fewer.met) == (0.75, False)


def test_what_could_not_be_measured_meets_nothing() -> None:
    assert not compare("t", "ms", None, "script", 30.0, goal=BESIDE).met
    assert not compare("t", "ms", 30.0, "docker", None, goal=BESIDE).met


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.0, 1)])
def test_percentile_is_the_nearest_rank(share: float, expected: float) -> None:
    assert percentile([float(n) for n in range(100, 0, -1)], share) == expected


def test_rounds_take_everyone_equally_often_and_in_changing_order() -> None:
    calls: list[str] = []

    def measure(name: str) -> float:
        calls.append(name)
        return 1.0

    interleave({name: lambda name=name: measure(name) for name in "abc"}, 6)  # type: ignore[misc]
    rounds = [tuple(calls[at : at + 3]) for at in range(0, 18, 3)]
    assert all(sorted(one) == ["a", "b", "c"] for one in rounds)
    assert len(set(rounds)) > 1


def test_delay_is_from_the_pids_last_exit_before_the_arrival() -> None:
    started = {"type": "started", "incarnation": "A", "pid": 7, "at": 10}
    exited = {"type": "exited", "incarnation": "A", "pid": None, "at": 3_000_000_000}
    stamps = {7: [5, 1_000_000_000, 9_000_000_000]}
    assert delays(stamps, [started, exited]) == [2.0]
    assert delays({8: [1]}, [started, exited]) == []


def test_the_config_is_one_that_both_the_floor_and_ours_can_read() -> None:
    config = json.loads((places.FLOOR / "config.json").read_text())
    assert config["process"]["args"] == list(places.TRUE)
    assert config["linux"]["resources"]["memory"]["limit"] > 0
    assert "cgroupsPath" not in config["linux"]


@pytest.mark.parametrize("args", [places.prints(1 << 17), places.prints_lines(1 << 17)])
def test_what_is_printed_is_as_much_as_was_asked_for(args: tuple[str, ...]) -> None:
    need("busybox-static")
    printed = subprocess.run(args, capture_output=True, check=True, timeout=10)
    assert (len(printed.stdout), printed.stderr) == (1 << 17, b"")


async def test_a_rate_is_of_stdout_alone_and_of_what_came() -> None:
    async def items() -> AsyncIterator[Item]:
        yield Chunk(stream=StreamName.STDOUT, data=bytes(3000))
        yield Chunk(stream=StreamName.STDERR, data=bytes(999))
        yield Lost(at=0, count=500)

    before = perf_counter() - 1.0
    carried = await io_load.carried(items(), before)
    assert carried.lost == 500
    assert 0 < carried.rate <= 3000


async def test_nothing_that_came_has_no_rate() -> None:
    async def nothing() -> AsyncIterator[Item]:
        for item in ():
            yield item

    assert await io_load.carried(nothing(), perf_counter()) == io_load.Carried(0.0, 0)
