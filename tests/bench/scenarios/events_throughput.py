"""Events a second from the outbox into the stream, none lost: beside a pipelined publisher,
and with the server killed half way, its outage counted."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.bench import Bench
from tests.bench.comparison import BESIDE, Better, Comparison, compare
from tests.bench.helper import Helper
from tests.bench.rounds import Measure, interleave, medians

NAME = "events-throughput"
BUDGET_PER_SECOND = 4000.0
ANSWER_SECONDS = 60
OUTAGE_COUNT = 40_000
"""Some seconds' worth: an outage of one or two is to be made up for."""


def compare_all(bench: Bench) -> Iterator[Comparison]:
    count = bench.pick(6_000, 40_000)
    with bench.node() as ours:
        measures: dict[str, Measure] = {"floor": lambda: _floor(bench.server, count)}
        if ours:
            measures["ours"] = lambda: ours.events_rate(count)
            measures["outage"] = lambda: ours.events_rate(OUTAGE_COUNT, bench.restart_server)
        figures = medians(interleave(measures, 3))
    for what, name, against, theirs, goal in (
        (NAME, "ours", "budget", BUDGET_PER_SECOND, 1.0),
        (NAME, "ours", "nats-py pipelined", figures["floor"], BESIDE),
        ("events, server killed", "outage", "budget", BUDGET_PER_SECOND, 1.0),
    ):
        yield compare(
            what,
            "/s",
            figures.get(name),
            against,
            theirs,
            goal=goal,
            better=Better.HIGHER,
        )


def _floor(server: str, count: int) -> float:
    with Helper("raw_nats", "publish", server, str(count)) as publisher:
        return float(publisher.answer(ANSWER_SECONDS))
