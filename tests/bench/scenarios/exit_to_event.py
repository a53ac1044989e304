"""From the kernel's own stamp of an exit to the event in another process.

Three processes tell: the kernel through the observer, the agent, and a subscriber that is
neither the agent nor the bench. The init's pid, from `started`, joins their accounts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.bench.bench import Bench
from tests.bench.comparison import Comparison, compare, scaled
from tests.bench.helper import Helper
from tests.bench.ours import Ours
from tests.bench.places import NAP
from tests.bench.rounds import percentile

from wharfside_protocol.events import EventType
from wharfside_protocol.subjects import Subjects

NAME = "exit-to-event"
BUDGETS_MS = {0.5: 5.0, 0.99: 20.0}
MILLISECONDS = 1000.0


class EventMissing(Exception):
    """An exit that the kernel told has no event, or the other way round."""


def compare_all(bench: Bench) -> Iterator[Comparison]:
    with bench.node() as ours:
        taken = _measure(bench, ours, bench.pick(50, 250)) if ours else None
    for share, budget in BUDGETS_MS.items():
        value = percentile(taken, share) if taken else None
        yield compare(
            f"{NAME} p{share * 100:g}",
            "ms",
            scaled(value, MILLISECONDS),
            "budget",
            budget,
            goal=1.0,
        )


def _measure(bench: Bench, ours: Ours, count: int) -> list[float]:
    # below the floor's folder, which is swept at the end
    exits, events = bench.places.floor / "told-exits", bench.places.floor / "told-events"
    subject = Subjects().live_events(ours.node)
    bundle = bench.places.bundle("nap", NAP)
    with (
        Helper("subscriber", bench.server, subject, str(events)),
        Helper("observer", str(exits)) as observer,
    ):
        for _ in range(count):
            ours.once(bundle, lambda pid: observer.tell(str(pid)))
    taken = delays(read_exits(exits), [json.loads(line) for line in events.open()])
    if len(taken) != count:
        raise EventMissing(f"{count} containers ended, {len(taken)} exits were told by both")
    return taken


def read_exits(path: Path) -> dict[int, list[int]]:
    """The kernel's stamps (ns) by pid; a pid may come again."""
    stamps: dict[int, list[int]] = {}
    for line in path.read_text().splitlines():
        pid, _code, at = line.split()
        if pid == "lost":
            raise EventMissing(f"the observer lost process events (errno {_code})")
        stamps.setdefault(int(pid), []).append(int(at))
    return stamps


def delays(exits: dict[int, list[int]], events: list[dict[str, Any]]) -> list[float]:
    """Seconds from exit to arrival, for each `exited` whose `started` told the pid.

    Of a pid that came again, the last exit before the arrival is the container's.
    """
    pids = {
        event["incarnation"]: event["pid"] for event in events if event["type"] == EventType.STARTED
    }
    taken = []
    for event in events:
        if event["type"] != EventType.EXITED:
            continue
        before = [at for at in exits.get(pids.get(event["incarnation"], 0), []) if at < event["at"]]
        if before:
            taken.append((event["at"] - max(before)) / 1e9)
    return taken
