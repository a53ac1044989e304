"""The checker against stories that are bent in one place: each is seen, and counted rightly."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from tests.chaos.runner.records import Command, Fault, Owner
from tests.chaos.runner.verdict import BAD
from tests.unit.chaos.scenes import MARK, NAME, Scene, at, ended

from wharfside_protocol.times import to_timestamp

Bend = Callable[[Scene], None]


def _exit(scene: Scene, when: float = 2, code: int | None = 3, **facts: object) -> None:
    """Another `exited` in the place of the good one."""
    event = scene.events[2]
    data = ended(code, at(when), **facts)
    moment = to_timestamp(at(when))
    scene.events[2] = msgspec.structs.replace(event, data=data, occurred_at=moment)


def _drop(scene: Scene, place: int) -> None:
    del scene.events[place]


def _again(scene: Scene, place: int) -> None:
    """The same thing told twice: another id, the next seq."""
    twin = msgspec.structs.replace(scene.events[place], event_id="other", seq=5, prev_seq=4)
    scene.events.append(twin)


def _unread(scene: Scene) -> None:
    scene.records.commands.append(
        Command("d" * 8, "run", "c-2", at(0), answered_at=at(9), settled="not-found", kept=True)
    )


def _missed(scene: Scene) -> None:
    last = scene.events.pop()
    scene.tell("event-missed", 2.5, process="init", revision=4, message="an exit unseen")
    scene.events[-1] = msgspec.structs.replace(scene.events[-1], seq=4, prev_seq=3)
    scene.events.append(msgspec.structs.replace(last, seq=5, prev_seq=4))


def _unanswered(scene: Scene, settled: str) -> None:
    (command,) = scene.records.commands
    command.outcome, command.settled = "unanswered", settled


def _settled(scene: Scene, settled: str, ok: bool | None) -> None:
    (command,) = scene.records.commands
    command.settled, command.settled_ok = settled, ok


def _ran_unknown(scene: Scene) -> None:
    scene.records.owners["wabcdef000002"] = Owner("c-2", "init", "short")
    scene.lines += [f"begin wabcdef000002 43 {at(1)}", f"exit wabcdef000002 43 0 0 {at(1)}"]


def _hungry(scene: Scene) -> None:
    scene.records.owners[MARK] = Owner(NAME, "init", "oom", expects_oom=True)
    scene.lines[1] = f"exit {MARK} 42 137 9 {at(2)}"
    _exit(scene, code=137)


BENT: dict[str, tuple[str, Bend]] = {
    "an exit untold": ("lost", lambda s: _drop(s, 2)),
    "a start untold": ("lost", lambda s: _drop(s, 1)),
    "an event of the outbox gone": ("lost", lambda s: _drop(s, 0)),
    "a process of which nothing is told": ("lost", _ran_unknown),
    "a status unknown though all watched": ("lost", lambda s: _exit(s, code=None)),
    "an answer without its event": ("lost", lambda s: _drop(s, 1)),
    "a result forgotten": ("lost", lambda s: _settled(s, "not-found", None)),
    "a letter that nobody ran": ("lost", _unread),
    "a change that only the relist found": ("lost", _missed),
    "an OOM kill untold": ("lost", _hungry),
    "an exit told twice": ("doubled", lambda s: _again(s, 2)),
    "a delete told twice": ("doubled", lambda s: _again(s, 3)),
    "another code": ("invented", lambda s: _exit(s, code=0)),
    "a signal": ("invented", lambda s: _exit(s, code=3, signal=9)),
    "another time": ("invented", lambda s: _exit(s, when=8)),
    "an exit of nobody": ("invented", lambda s: s.lines.clear()),
    "another result": ("invented", lambda s: _settled(s, "done", False)),
    "an OOM kill invented": ("invented", lambda s: _exit(s, oom_killed=True)),
    "two in the wrong order": ("out_of_order", lambda s: s.events.insert(2, s.events.pop(1))),
    "never deleted": ("stuck", lambda s: _drop(s, 3)),
    "a command without an end": ("stuck", lambda s: _unanswered(s, "running")),
    "a process left": ("left_behind", lambda s: s.lines.pop()),
}


def test_a_true_story_is_good() -> None:
    verdict = Scene.good().verdict()
    assert verdict.good, verdict.findings
    assert (verdict.commands, verdict.exits, verdict.events) == (1, 1, 4)


@pytest.mark.parametrize("name", BENT)
def test_each_bend_is_seen(name: str) -> None:
    kind, bend = BENT[name]
    scene = Scene.good()
    bend(scene)
    verdict = scene.verdict()
    assert verdict.count(kind) > 0, verdict.findings
    assert verdict.to_json()[kind] == verdict.count(kind)
    assert {finding.kind for finding in verdict.findings} <= set(BAD)


def test_unknown_is_right_where_neither_agent_nor_monitor_lived() -> None:
    scene = Scene.good()
    _exit(scene, code=None)
    scene.records.faults += [
        Fault("agent-kill", at(1.5), at(2.5), pids=[7]),
        Fault("monitor-kill", at(1.6), at(1.6), pids=[8], victims=[42]),
    ]
    verdict = scene.verdict()
    assert verdict.good, verdict.findings
    assert verdict.unknown == 1


@pytest.mark.parametrize(
    "fault",
    [
        Fault("agent-kill", at(1.5), at(2.5)),
        Fault("monitor-kill", at(1.6), at(1.6), victims=[42]),
        Fault("monitor-kill", at(1.6), at(1.6), victims=[43]),
    ],
)
def test_unknown_is_wrong_while_one_of_them_lived(fault: Fault) -> None:
    scene = Scene.good()
    _exit(scene, code=None)
    scene.records.faults.append(fault)
    assert scene.verdict().count("lost") == 1


def test_one_that_ended_before_it_could_tell_its_mark_is_known_by_its_pid() -> None:
    scene = Scene.good()
    scene.lines = [f"exit - 42 3 0 {at(2)}"]
    verdict = scene.verdict()
    assert verdict.good, verdict.findings
    assert verdict.unmarked == 1


def test_the_runs_of_a_container_are_matched_in_their_order() -> None:
    scene = Scene.good()
    scene.lines += [f"begin {MARK} 50 {at(3)}", f"exit {MARK} 50 4 0 {at(4)}"]
    last = scene.events.pop()
    for event in scene.events[1:3]:
        moment = to_timestamp(at(4))
        data = event.data | {"pid": 50} if event.type == "started" else ended(4, at(4))
        seq = 2 + event.seq
        scene.events.append(
            msgspec.structs.replace(
                event,
                event_id=f"r{seq}",
                run=2,
                seq=seq,
                prev_seq=seq - 1,
                revision=event.revision + 3,
                cause="start-again",
                occurred_at=moment,
                observed_at=moment,
                published_at=moment,
                data=data,
            )
        )
    scene.events.append(msgspec.structs.replace(last, run=2, seq=6, prev_seq=5, revision=9))
    verdict = scene.verdict()
    assert verdict.good, verdict.findings
    assert verdict.exits == 2


def test_a_run_that_ended_before_it_could_tell_its_mark_takes_no_others_exit() -> None:
    """Two runs, one of them unmarked; the other's end was told late, and as unknown."""
    scene = Scene.good()
    last = scene.events.pop()
    started, exited = scene.events[1:3]
    moment = to_timestamp(at(5))
    scene.events[2] = msgspec.structs.replace(
        exited,
        occurred_at=moment,
        observed_at=moment,
        published_at=moment,
        data=ended(None, at(5), unknown_because="nobody watched"),
    )
    scene.records.faults += [
        Fault("agent-kill", at(1.5), at(4.9), pids=[7]),
        Fault("monitor-kill", at(1.6), at(1.6), pids=[8], victims=[42]),
    ]
    for event, pid in ((started, {"pid": 50}), (exited, ended(0, at(6)))):
        moment = to_timestamp(at(6))
        scene.events.append(
            msgspec.structs.replace(
                event,
                event_id=f"r{event.seq}",
                run=2,
                seq=2 + event.seq,
                prev_seq=1 + event.seq,
                revision=event.revision + 3,
                cause="start-again",
                occurred_at=moment,
                observed_at=moment,
                published_at=moment,
                data=pid,
            )
        )
    scene.events.append(msgspec.structs.replace(last, run=2, seq=6, prev_seq=5, revision=9))
    scene.lines.append(f"exit - 50 0 0 {at(6)}")
    verdict = scene.verdict()
    assert verdict.good, verdict.findings
    assert (verdict.unknown, verdict.unmarked) == (1, 1)
