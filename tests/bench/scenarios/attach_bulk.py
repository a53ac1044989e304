"""Output in bulk by an attach: beside conmon's own reader, and nats-py with the same window.

Of blocks, which cost whoever prints and keeps them least, and of lines, as programs print.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import NamedTuple

from tests.bench import local_reader, raw_flow
from tests.bench.bench import Bench
from tests.bench.comparison import BESIDE, Better, Comparison, compare, scaled
from tests.bench.ours import Ours
from tests.bench.places import prints, prints_lines
from tests.bench.rounds import Measure, interleave, medians

NAME = "attach-bulk"
MEGABYTE = 1e-6
COUNT = 64 << 20
"""Less than a log keeps: a reader that is slower than the container loses nothing of it."""
READER, BUS = "conmon's reader", "nats-py, same window"


class Way(NamedTuple):
    """What is printed, and whether it is logged."""

    what: str
    args: tuple[str, ...]
    log: bool

    @property
    def title(self) -> str:
        return f"{NAME}, {self.what}" + ("" if self.log else ", log=off")


WAYS = [
    Way(what, args, log)
    for what, args in (("blocks", prints(COUNT)), ("lines", prints_lines(COUNT)))
    for log in (True, False)
]


def compare_all(bench: Bench) -> Iterator[Comparison]:
    with bench.node() as ours:
        measures: dict[str, Measure] = {BUS: lambda: raw_flow.rate(bench.server, COUNT)}
        for way in WAYS:
            measures[f"{READER} {way.title}"] = bench.forgiving(partial(_reader, bench, way))
            if ours is not None:
                measures[way.title] = partial(_ours, bench, ours, way)
        figures = medians(interleave(measures, bench.pick(3, 7)))
    for way in WAYS:
        yield _beside(way, figures, READER, figures.get(f"{READER} {way.title}"), 0.4)
        # lines cost conmon more than the bus: there it is the limit
        yield _beside(way, figures, BUS, figures[BUS], 0.5 if way.what == "blocks" else BESIDE)


def _beside(
    way: Way, figures: Mapping[str, float], against: str, theirs: float | None, goal: float
) -> Comparison:
    ours, theirs = scaled(figures.get(way.title), MEGABYTE), scaled(theirs, MEGABYTE)
    return compare(way.title, "MB/s", ours, against, theirs, goal=goal, better=Better.HIGHER)


def _reader(bench: Bench, way: Way) -> float:
    bundle = bench.places.bundle(f"prints-{way.what}", way.args)
    return local_reader.rate(bench.places, bundle, log=way.log)


def _ours(bench: Bench, ours: Ours, way: Way) -> float:
    """What did not come is no part of it, and is noted."""
    carried = ours.attach_rate(way.args, log=way.log)
    if carried.lost:
        bench.note(f"{way.title}: its reader was told that a part of it was lost")
    return carried.rate
