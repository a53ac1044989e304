"""What each process of ours spends on a unit of work: for machines on which others work, too.

    python -m tests.bench.cpu rpc-one|rpc-many|lives|attach|attach-unlogged [COUNT]

prints the CPU time of agent, runtime (conmon, crun and the containers, which the agent has
reaped), server and client in microseconds for each call, container or MiB. It shows what a change
costs where the time on the wall shows the neighbours. Compare commits in turns, a few of each, and
trust the least of each: waiting costs nothing, but cold caches do.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.bench import places
from tests.bench.nats_server import nats_server
from tests.bench.ours import Ours

CALLERS = 128
PARALLEL = 8
MIB = 1 << 20
ATTACHED_MIB = 64
"""Less than a log keeps."""

SETTLE_SECONDS = 0.5
"""What a container leaves behind is reaped by then."""

MICROSECONDS = 1e6
_TICK = os.sysconf("SC_CLK_TCK")


class Spent(NamedTuple):
    """Seconds."""

    agent: float
    runtime: float
    server: float
    client: float


class Scenario(NamedTuple):
    """`work` does about so many units, and says how many."""

    unit: str
    usual: int
    work: Callable[[Ours, int], int]


def _rpc_one(ours: Ours, count: int) -> int:
    return len(ours.noop_latencies(count))


def _rpc_many(ours: Ours, count: int) -> int:
    ours.noop_rate(count, CALLERS)
    return count // CALLERS * CALLERS


def _lives(ours: Ours, count: int) -> int:
    ours.many(count, PARALLEL)
    return count


def _attach(ours: Ours, count: int, *, log: bool = True) -> int:
    """What came: without a log a slow reader is told of a part that it is lost, and costs less."""
    times, lost = max(count // ATTACHED_MIB, 1), 0
    for _ in range(times):
        lost += ours.attach_rate(places.prints(ATTACHED_MIB * MIB), log=log).lost
    return times * ATTACHED_MIB - lost // MIB


SCENARIOS = {
    "rpc-one": Scenario("call", 3000, _rpc_one),
    "rpc-many": Scenario("call", 25_600, _rpc_many),
    "lives": Scenario("container", 64, _lives),
    "attach": Scenario("MiB", 256, _attach),
    "attach-unlogged": Scenario("MiB", 256, lambda ours, count: _attach(ours, count, log=False)),
}


def _spent(agent: int, server: int) -> Spent:
    return Spent(_own(agent), _reaped(agent), _own(server), time.process_time())


def _own(pid: int) -> float:
    """Of all threads that live, to the nanosecond; nobody here starts and ends any."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def _reaped(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / _TICK


def measure(scenario: Scenario, count: int) -> Spent:
    """Seconds a unit, after a tenth of the work that warms up."""
    where = places.from_environment()
    with where.claimed():
        where.lay_out()
        with nats_server(where.run / "nats") as server, Ours(server.url, where) as ours:
            scenario.work(ours, max(count // 10, CALLERS if scenario.unit == "call" else PARALLEL))
            before = _spent(ours.agent_pid(), server.pid)
            done = scenario.work(ours, count)
            time.sleep(SETTLE_SECONDS)
            after = _spent(ours.agent_pid(), server.pid)
    return Spent(*((late - early) / done for early, late in zip(before, after, strict=True)))


def main(name: str, count: str = "") -> None:
    scenario = SCENARIOS[name]
    spent = measure(scenario, int(count) if count else scenario.usual)
    parts = [f"{part} {seconds * MICROSECONDS:,.1f}" for part, seconds in spent._asdict().items()]
    print(f"us a {scenario.unit}: {', '.join(parts)}, in all {sum(spent) * MICROSECONDS:,.1f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
