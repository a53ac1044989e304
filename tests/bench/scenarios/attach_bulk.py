"""Output in bulk by an attach: beside conmon's own reader, and nats-py with the same window."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench import local_reader, raw_flow
from tests.bench.bench import Bench
from tests.bench.comparison import Better, Comparison, compare, scaled
from tests.bench.ours import Ours
from tests.bench.places import prints
from tests.bench.rounds import Measure, interleave, medians

NAME = "attach-bulk"
MEGABYTE = 1e-6
MEBIBYTE = 1 << 20


def compare_all(bench: Bench) -> Iterator[Comparison]:
    count = bench.pick(64, 256) * MEBIBYTE
    with bench.node() as ours:
        measures: dict[str, Measure] = {"bus": lambda: raw_flow.rate(bench.server, count)}
        for log in (True, False):
            measures |= _sides(bench, ours, count, log=log)
        figures = medians(interleave(measures, bench.pick(3, 5)))
    for log, how in ((True, ""), (False, ", log=off")):
        for against, theirs, goal in (
            ("conmon's reader", figures.get(f"reader {log}"), 0.4),
            ("nats-py, same window", figures["bus"], 0.5),
        ):
            yield compare(
                NAME + how,
                "MB/s",
                scaled(figures.get(f"ours {log}"), MEGABYTE),
                against,
                scaled(theirs, MEGABYTE),
                goal=goal,
                better=Better.HIGHER,
            )


def _sides(bench: Bench, ours: Ours | None, count: int, *, log: bool) -> dict[str, Measure]:
    bundle = bench.places.bundle("prints", prints(count))
    sides: dict[str, Measure] = {
        f"reader {log}": bench.forgiving(lambda: local_reader.rate(bench.places, bundle, log=log))
    }
    if ours is not None:
        sides[f"ours {log}"] = lambda: _ours(bench, ours, count, log=log)
    return sides


def _ours(bench: Bench, ours: Ours, count: int, *, log: bool) -> float:
    carried = ours.attach_rate(prints(count), log=log)
    if carried.lost:
        bench.note(f"{NAME}, log={'on' if log else 'off'}: {carried.lost} of {count} bytes lost")
    return carried.rate
