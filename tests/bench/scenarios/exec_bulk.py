"""Output in bulk of an exec: ours over the bus, docker's and podman's into a pipe on the host."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench import peer_pipes
from tests.bench.bench import Bench
from tests.bench.comparison import BESIDE, Better, Comparison, compare, scaled
from tests.bench.contenders import CommandLine
from tests.bench.places import IDLE, prints
from tests.bench.rounds import Measure, interleave, medians

NAME = "exec-bulk"
MEGABYTE = 1e-6
COUNT = 64 << 20


def compare_all(bench: Bench) -> Iterator[Comparison]:
    with bench.node() as ours:
        measures = {
            name: _peer(bench, bench.command_lines()[name])
            for name in peer_pipes.NAMED
            if name in bench.command_lines()
        }
        if ours is not None:
            (running,) = ours.hold(1, bench.places.bundle("idle", IDLE))
            measures["ours"] = lambda: ours.exec_rate(running, prints(COUNT)).rate
        figures = medians(interleave(measures, bench.pick(3, 7)))
    for name in peer_pipes.NAMED:
        yield compare(
            NAME,
            "MB/s",
            scaled(figures.get("ours"), MEGABYTE),
            f"{name} exec",
            scaled(figures.get(name), MEGABYTE),
            goal=BESIDE,
            better=Better.HIGHER,
        )


def _peer(bench: Bench, peer: CommandLine) -> Measure:
    return bench.forgiving(lambda: peer_pipes.rate(peer, prints(COUNT), COUNT))
