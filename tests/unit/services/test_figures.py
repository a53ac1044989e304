"""What services count: bounded, whatever they are asked for."""

from __future__ import annotations

import asyncio

from wharfside_agent.core.figures import Histogram
from wharfside_agent.ports.rows import EventDraft
from wharfside_agent.services.commands.figures import RPC, CommandFigures
from wharfside_agent.services.commands.lanes import Lanes
from wharfside_agent.services.life.figures import LifeFigures
from wharfside_agent.services.loop_watch import LATE_S, LoopWatch
from wharfside_agent.services.telling.readiness import Readiness
from wharfside_protocol.envelope import Result
from wharfside_protocol.errors import Busy
from wharfside_protocol.events import EventType


def result(op: str, *, ok: bool = True) -> Result:
    error = None if ok else Busy("later").to_body()
    return Result(id="i" * 8, op=op, node="n1", ok=ok, error=error)


def test_a_bound_belongs_to_its_own_bucket() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (0.0, 1.0, 1.5, 2.0, 9.0):
        histogram.observe(value)
    assert (histogram.counts, histogram.count, histogram.total) == ([2, 2, 1], 5, 13.5)


def test_commands_are_counted_by_op_way_and_outcome() -> None:
    figures = CommandFigures()
    for each in (result("stop"), result("stop"), result("stop", ok=False)):
        figures.note(RPC, each, 0.5)
    counts = {key: histogram.count for key, histogram in figures.seconds.items()}
    assert counts == {("stop", "rpc", "ok"): 2, ("stop", "rpc", "error"): 1}
    assert figures.errors == {("stop", "busy"): 1}


def test_ops_that_nobody_knows_share_one_name() -> None:
    figures = CommandFigures()
    for number in range(100):
        figures.note(RPC, result(f"made-up-{number}", ok=False), 0.1)
    assert figures.errors == {("unknown", "busy"): 100} and len(figures.seconds) == 1


def test_ends_are_counted_by_process_and_reason() -> None:
    figures = LifeFigures()
    known = {"status_known": True}
    ends = [("init", "stop", True), ("x17", "self", True), ("x18", "self", False)]
    figures.note(
        EventDraft(
            type=EventType.EXITED,
            process=process,
            occurred_at=0,
            observed_at=0,
            data=known | {"reason": reason, "status_known": told},
        )
        for process, reason, told in ends
    )
    oom = EventDraft(type=EventType.OOM, occurred_at=0, observed_at=0, data={"oom_kills_added": 3})
    figures.note([oom])
    assert figures.exits == {("init", "stop"): 1, ("exec", "self"): 2}
    assert (figures.unknown_exits, figures.oom_kills) == (1, 3)
    assert figures.events == {"exited": 3, "oom": 1}


async def test_lanes_tell_who_runs_and_who_waits() -> None:
    lanes = Lanes()
    first = await lanes.enter("a")
    second = asyncio.create_task(lanes.enter("a"))
    await asyncio.sleep(0)
    assert (lanes.busy, lanes.waiting, lanes.waits.count) == (1, 1, 1)
    first.release()
    (await second).release()
    assert (lanes.busy, lanes.waiting, lanes.waits.count) == (0, 0, 2)


async def test_a_loop_that_was_late_is_told_for_a_while() -> None:
    watch = LoopWatch()
    watch.note(LATE_S / 2)
    assert not watch.late
    watch.note(LATE_S)
    assert watch.late and watch.lags.count == 2


def test_readiness_names_the_parts_that_want_something() -> None:
    wanting: dict[str, str | None] = {"bus": None, "disk": "full"}
    readiness = Readiness({name: lambda name=name: wanting[name] for name in wanting})  # type: ignore[misc]
    assert readiness.parts() == {"bus": None, "disk": "full"}
    assert readiness.wanting() == {"disk": "full"}
    wanting["disk"] = None
    assert readiness.wanting() == {}
