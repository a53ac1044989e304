"""The price of an answer: `ping` beside an echo of nats-py that does nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from tests.bench.bench import Bench
from tests.bench.comparison import Better, Comparison, compare, scaled
from tests.bench.helper import Helper
from tests.bench.raw_nats import RawCaller
from tests.bench.rounds import interleave, medians

NAME = "noop-rpc"
SUBJECT = "bench.echo"
CALLERS = 128
MILLISECONDS = 1000.0


def compare_all(bench: Bench) -> Iterator[Comparison]:
    calls, rounds = bench.pick(300, 1000), bench.pick(5, 7)
    many = CALLERS * bench.pick(40, 100)
    with (
        Helper("raw_nats", "echo", bench.server, SUBJECT),
        RawCaller(bench.server, SUBJECT) as raw,
        bench.node() as ours,
    ):
        sides = {"raw": raw} | ({"ours": ours} if ours else {})
        for side in sides.values():
            side.noop_latencies(50)  # the first calls pay for imports and interest
        one = {
            name: lambda side=side: median(side.noop_latencies(calls))
            for name, side in sides.items()
        }
        all_ = {
            name: lambda side=side: side.noop_rate(many, CALLERS) for name, side in sides.items()
        }
        latency = medians(interleave(one, rounds))
        rate = medians(interleave(all_, rounds))
    yield compare(
        f"{NAME} one caller",
        "ms",
        scaled(latency.get("ours"), MILLISECONDS),
        "nats-py echo",
        scaled(latency["raw"], MILLISECONDS),
        goal=1 / 1.3,
    )
    yield compare(
        f"{NAME} {CALLERS} callers",
        "/s",
        rate.get("ours"),
        "nats-py echo",
        rate["raw"],
        goal=0.5,
        better=Better.HIGHER,
    )
