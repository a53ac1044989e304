"""Every scenario by its name, in the order of the table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from tests.bench.bench import Bench
from tests.bench.comparison import Comparison
from tests.bench.scenarios import (
    attach_bulk,
    checkpoint,
    containers_per_second,
    events_throughput,
    exec_bulk,
    exit_to_event,
    flood,
    latencies,
    memory_per_container,
    noop_rpc,
    reattach,
    run_to_exited,
)

Scenario = Callable[[Bench], Iterator[Comparison]]

SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {
        "run-to-exited": run_to_exited.compare_all,
        "containers-per-second": containers_per_second.compare_all,
        "exit-to-event": exit_to_event.compare_all,
        "noop-rpc": noop_rpc.compare_all,
        "memory-per-container": memory_per_container.compare_all,
        "reattach": reattach.compare_all,
        "events-throughput": events_throughput.compare_all,
        "attach-bulk": attach_bulk.compare_all,
        "exec-bulk": exec_bulk.compare_all,
        "io-latencies": latencies.compare_all,
        "flood": flood.compare_all,
        "checkpoint": checkpoint.compare_all,
    }
)
