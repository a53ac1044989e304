"""A container prints as fast as it can, and its readers are stuck: what others feel of it.

The agent's memory at its peak, the answers to calls about another container meanwhile, and
how late the end is told: from the kernel's own stamp to the event's arrival.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.bench import Bench
from tests.bench.comparison import Comparison, compare, scaled
from tests.bench.helper import Helper
from tests.bench.memory import peak_bytes
from tests.bench.ours import Ours
from tests.bench.places import IDLE, prints_lines
from tests.bench.rounds import percentile
from tests.bench.scenarios.exit_to_event import EventMissing, read_exits

NAME = "flood"
MEBIBYTE = 1 << 20
MEGABYTE, MILLISECONDS = 1e-6, 1000.0


def compare_all(bench: Bench) -> Iterator[Comparison]:
    count = bench.pick(256, 1024) * MEBIBYTE
    with bench.node() as ours:
        memory, p99, late = _measure(bench, ours, count) if ours else (None, None, None)
    for what, unit, figure, budget in (
        ("agent's peak", "MB", scaled(memory, MEGABYTE), 150.0),
        ("others' calls p99", "ms", scaled(p99, MILLISECONDS), 50.0),
        ("its exit", "ms", scaled(late, MILLISECONDS), 1000.0),
    ):
        yield compare(f"{NAME}: {what}", unit, figure, "budget", budget, goal=1.0)


def _measure(bench: Bench, ours: Ours, count: int) -> tuple[float, float, float]:
    exits = bench.places.floor / "flood-exits"
    (other,) = ours.hold(1, bench.places.bundle("idle", IDLE))
    with Helper("observer", str(exits)) as observer:
        told = ours.flood(prints_lines(count), other, lambda pid: observer.tell(str(pid)))
        memory = peak_bytes(ours.agent_pid())
    stamps = read_exits(exits).get(told.pid)
    if not stamps:
        raise EventMissing(f"the kernel told no exit of {told.pid}")
    return memory, percentile(told.calls, 0.99), told.exited - max(stamps) / 1e9
