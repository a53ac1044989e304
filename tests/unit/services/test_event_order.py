"""The order checker itself: it passes a good story, and each broken promise has its line."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.support.event_order import violations

from wharfside_protocol.events import Event, EventType
from wharfside_protocol.times import to_timestamp

SECOND = 1_000_000_000
START = 1_800_000_000 * SECOND
FIRST, SECOND_LIFE = "01JD0000000000000000000000", "01JD0000000000000000000001"

Step = tuple[str, dict[str, Any]]


def init_exit(**data: Any) -> Step:
    return "exited", {"process": "init", "data": {"reason": "self", **data}}


def of_exec(type_: str) -> Step:
    data = {"reason": "self"} if type_ == "exited" else {}
    return type_, {"process": "job", "data": data}


def session(type_: str, process: str = "init", session: str = "s1") -> Step:
    return type_, {"process": process, "data": {"peer": "p1", "session": session}}


def pressure(phase: str, resource: str = "memory") -> Step:
    return "pressure", {"data": {"resource": resource, "phase": phase}}


def of_next_boot(type_: str, **data: Any) -> Step:
    """The first event of an epoch."""
    return type_, {"epoch": 2, "event_id": "event-of-2", "revision": 99, "data": data}


def of_command(type_: str) -> Step:
    return type_, {"cause": "command-1"}


def story(
    *steps: str | Step, incarnation: str = FIRST, first_seq: int = 1, run: int = 1
) -> list[Event]:
    """Events of one run of a container, all well but for what the steps say."""
    events: list[Event] = []
    for step in steps:
        type_, fields = (step, {}) if isinstance(step, str) else step
        seq = first_seq + len(events)
        at = to_timestamp(START + seq * SECOND)
        event = Event(
            event_id=f"event-{seq}",
            node="n1",
            node_id="id",
            boot_id="boot",
            epoch=1,
            seq=seq,
            prev_seq=None if seq == 1 else seq - 1,
            container="web",
            incarnation=incarnation,
            run=run,
            revision=seq,
            type=EventType(type_),
            data={"next_run": run + 1} if type_ == "restarting" else {},
            occurred_at=at,
            observed_at=at,
            published_at=at,
        )
        events.append(msgspec.structs.replace(event, **fields))
    return events


GOOD = [
    story("created", "deleted"),
    story("create-failed"),
    story("created", "started", "paused", "resumed", init_exit(), "deleted"),
    story("created", "started", "paused", init_exit(), "deleted"),
    story("created", init_exit(), "deleted"),
    story("created", "started", "stopping", init_exit(reason="stop"), "deleted"),
    story(
        "created",
        "started",
        pressure("begins"),
        pressure("begins", "io"),
        pressure("lasts"),
        pressure("over"),
        pressure("begins"),
        init_exit(),
    ),
    story("created", "started", pressure("begins"), pressure("begins"), pressure("over")),
    story("created", "started", "oom", init_exit(oom_killed=True, reason="oom"), "deleted"),
    story(
        "created",
        "started",
        of_exec("exec-added"),
        of_exec("exec-started"),
        of_exec("exited"),
        init_exit(),
        "deleted",
    ),
    story("created", "started", of_exec("exec-added"), of_exec("start-failed"), init_exit()),
    story("created", session("attached"), "started", session("detached"), init_exit()),
    story("created", "started", session("attached"), init_exit(), "deleted"),
    story(
        "created",
        "started",
        of_exec("exec-added"),
        of_exec("exec-started"),
        session("attached", "job"),
        session("detached", "job"),
        of_exec("exited"),
        init_exit(),
    ),
    story(
        "created",
        "started",
        of_exec("exec-added"),
        of_exec("exec-started"),
        init_exit(execs_pending=["job"]),
        of_exec("exited"),
        "deleted",
    ),
    [
        *story("created", "started", init_exit(), "restarting"),
        *story("started", init_exit(), "restarting", run=2, first_seq=5),
        *story("start-failed", "not-restarting", run=3, first_seq=8),
        *story(of_command("started"), run=4, first_seq=10),
    ],
    [
        *story("created", "started", init_exit(), "not-restarting"),
        *story(of_next_boot("restarting", next_run=2), first_seq=1),
    ],
    story("created", "deleted") + story("created", "deleted", incarnation=SECOND_LIFE, first_seq=3),
]


@pytest.mark.parametrize("events", GOOD)
def test_a_good_story_has_no_violation(events: list[Event]) -> None:
    assert violations(events) == []


BAD: dict[str, list[Event]] = {
    "begins with": story("started", init_exit()),
    "created 2 times": story("created", "created"),
    "deleted 2 times": story("created", "deleted", "deleted"),
    "after deleted": story("created", "deleted", "signaled"),
    "started 2 times": story("created", "started", "started"),
    "started after it exited": story("created", init_exit(), "started"),
    "exited 2 times": story("created", "started", init_exit(), init_exit()),
    "no exit was told": story("created", "started", "deleted"),
    "no oom was told": story("created", "started", init_exit(oom_killed=True), "deleted"),
    "no stopping was told": story("created", "started", init_exit(reason="stop")),
    "resumed while it is not paused": story("created", "started", "resumed"),
    "paused while it is paused": story("created", "started", "paused", "paused"),
    "still ran, and the exit does not name them": story(
        "created", "started", of_exec("exec-added"), of_exec("exec-started"), init_exit()
    ),
    "oom of None after it exited": story("created", "started", init_exit(), "oom"),
    "pressure of None after it exited": story(
        "created", "started", init_exit(), pressure("begins")
    ),
    "pressure before it started": story("created", pressure("begins")),
    "pressure on io lasts, and was not told": story(
        "created", "started", pressure("begins"), pressure("lasts", "io")
    ),
    "pressure on memory over, and was not told": story(
        "created", "started", pressure("begins"), pressure("over"), pressure("over")
    ),
    "exec-started": story("created", "started", of_exec("exec-started"), init_exit()),
    "but only": story(
        "created",
        "started",
        of_exec("exec-added"),
        of_exec("exec-started"),
        init_exit(execs_pending=["job"]),
        "deleted",
    ),
    "detached after init exited": story(
        "created", "started", session("attached"), init_exit(), session("detached")
    ),
    "attached after job exited": story(
        "created",
        "started",
        of_exec("exec-added"),
        of_exec("exec-started"),
        of_exec("exited"),
        session("attached", "job"),
    ),
    "detached s2, which was not attached": story(
        "created", "started", session("attached"), session("detached", session="s2")
    ),
    "revision falls": story("created", ("started", {"revision": 0})),
    "run falls": story("created", ("started", {"run": 0})),
    "without its revision": story("created", ("started", {"revision": None})),
    "labels differ": story("created", ("started", {"labels": {"a": "b"}})),
    "prev_seq 7, but 1 came before": story("created", ("started", {"prev_seq": 7})),
    "stored twice": story("created", ("started", {"event_id": "event-1"})),
    "seq [2] were never told": [*story("created", "started", init_exit())[::2]],
    "a seq was given twice": story("created", ("started", {"seq": 1})),
    "observed before it occurred": story(("created", {"occurred_at": to_timestamp(START * 2)})),
    "published None": story(("created", {"published_at": None})),
    "is not deleted": story("created", "started")
    + story("created", incarnation=SECOND_LIFE, first_seq=3),
    "run 3 after run 1": story("created", "started", init_exit())
    + story(of_command("started"), run=3, first_seq=4),
    "run 2 begins before the end of run 1": story("created", "started")
    + story(of_command("started"), run=2, first_seq=3),
    "run 2 by no command": story("created", "started", init_exit(), "not-restarting")
    + story("started", run=2, first_seq=5),
    "restarting before its end": story("created", "started", "restarting"),
    "restarting names run 7": story(
        "created", "started", init_exit(), ("restarting", {"data": {"next_run": 7}})
    ),
    "restarting after not-restarting": story(
        "created", "started", init_exit(), "not-restarting", "restarting"
    ),
    "exited at": story(
        "created",
        "started",
        (
            "exited",
            {
                "process": "init",
                "data": {"reason": "self"},
                "occurred_at": to_timestamp(START),
            },
        ),
    ),
}


@pytest.mark.parametrize("line", BAD)
def test_a_broken_promise_has_its_line(line: str) -> None:
    found = violations(BAD[line])
    assert any(line in each for each in found), found
