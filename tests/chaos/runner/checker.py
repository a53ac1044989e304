"""Compares what was told with what happened. Pure.

`events` are the whole stream of the node, in its order. What truly happened is the observer's
`Truth`; the agent's own data serve only to say of which process an event speaks.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from tests.chaos.runner.exits import ExitsCheck
from tests.chaos.runner.records import Command, Records
from tests.chaos.runner.truth import Truth
from tests.chaos.runner.verdict import Finding, Verdict
from tests.support.event_order import violations

from wharfside_protocol.events import Event
from wharfside_protocol.events import EventType as T

EFFECTS = {
    "create": (T.CREATED,),
    "run": (T.CREATED, T.STARTED),
    "start": (T.STARTED,),
    "pause": (T.PAUSED,),
    "resume": (T.RESUMED,),
    "stop": (T.EXITED,),
    "exec": (T.EXEC_ADDED, T.EXEC_STARTED),
    "delete": (T.DELETED,),
}
"""What must be told where a command was answered with success."""

ODD = ("unanswered", "internal", "runtime-failed", "stale", "conflict", "invalid")
ONCE_A_LIFE = {T.CREATED, T.CREATE_FAILED, T.DELETED}
ONCE_A_PROCESS = {T.STARTED, T.EXEC_ADDED, T.EXEC_STARTED, T.EXITED, T.START_FAILED}
ENDS = {T.DELETED, T.CREATE_FAILED}


def check(truth: Truth, events: Sequence[Event], records: Records) -> Verdict:
    """The verdict; `seed` and `seconds` are the caller's to fill in."""
    told = list({event.event_id: event for event in reversed(events)}.values())[::-1]
    exits = ExitsCheck(truth, told, records)
    findings = [
        *(Finding("out_of_order", line, _first_word(line)) for line in violations(events)),
        *_gaps(told),
        *_doubles(told),
        *_effects(told, records.commands),
        *_missed(told),
        *exits.findings(),
        *_unended(told),
        *_unsettled(records.commands),
        *(Finding("stuck", line, _first_word(line)) for line in records.stuck),
        *(Finding("left_behind", line) for line in records.left),
        *_living(truth),
    ]
    return Verdict(
        commands=len(records.commands),
        exits=exits.told,
        events=len(events),
        unknown=exits.unknown,
        unmarked=exits.unmarked,
        late_ms=exits.late_ns / 1e6,
        faults=Counter(fault.kind for fault in records.faults),
        skipped=records.skipped,
        outcomes=Counter(_answer(command) for command in records.commands),
        findings=findings,
        odd=Counter(
            f"{_answer(command)}: {command.message}"
            for command in records.commands
            if command.outcome in ODD
        ),
    )


def _answer(command: Command) -> str:
    if command.outcome != "unanswered":
        return command.outcome
    return f"unanswered {command.op}, later {command.settled}"


def _first_word(line: str) -> str:
    return line.replace(":", " ").split()[0]


def _gaps(told: Iterable[Event]) -> Iterator[Finding]:
    """A `seq` that was given and never published."""
    given = defaultdict(set)
    for event in told:
        given[event.node_id, event.epoch].add(event.seq)
    for (_, epoch), seqs in given.items():
        for seq in sorted(set(range(1, max(seqs) + 1)) - seqs):
            yield Finding("lost", f"the event with seq {seq} of epoch {epoch}")


def _doubles(told: Iterable[Event]) -> Iterator[Finding]:
    """The same thing told by two events that differ in their ids."""
    seen: Counter[tuple[object, ...]] = Counter()
    for event in told:
        if event.type in ONCE_A_LIFE:
            seen[event.container, event.type, event.incarnation] += 1
        elif event.type in ONCE_A_PROCESS:
            seen[event.container, event.type, event.incarnation, event.run, event.process] += 1
    for (container, type_, *which), count in seen.items():
        if count > 1:
            yield Finding("doubled", f"{type_} of {which} {count} times", str(container))


def _effects(told: Iterable[Event], commands: Iterable[Command]) -> Iterator[Finding]:
    """An answer that promises what no event tells."""
    types = defaultdict(set)
    for event in told:
        types[event.incarnation].add(event.type)
    for command in commands:
        if command.outcome != "ok" or command.incarnation is None:
            continue
        for type_ in EFFECTS.get(command.op, ()):
            if type_ not in types[command.incarnation]:
                what = f"{command.op} {command.id} was answered ok, and no {type_} is told"
                yield Finding("lost", what, command.container)


def _missed(told: Iterable[Event]) -> Iterator[Finding]:
    """A change that only the relist found: its own event was lost before it was written."""
    for event in told:
        if event.type is T.EVENT_MISSED:
            what = f"told by the relist alone: {event.data.get('message')}"
            yield Finding("lost", what, str(event.container))


def _unended(told: Iterable[Event]) -> Iterator[Finding]:
    """After the clearing away every story must have come to its end."""
    lives: dict[str | None, list[Event]] = defaultdict(list)
    for event in told:
        lives[event.incarnation].append(event)
    for incarnation, life in lives.items():
        if incarnation is not None and not ENDS & {event.type for event in life}:
            what = f"its last event is {life[-1].type}: never deleted"
            yield Finding("stuck", what, life[0].container)


def _unsettled(commands: Iterable[Command]) -> Iterator[Finding]:
    """Every command has one result for ever, or never arrived."""
    for command in commands:
        who = f"{command.op} {command.id}"
        if command.kept and command.settled == "not-found":
            what = f"{who} was taken by the mailbox, and the node knows nothing of it"
            yield Finding("lost", what, command.container)
        elif command.settled not in ("done", "not-found", None):
            yield Finding("stuck", f"{who} is {command.settled}", command.container)
        elif command.settled == "done" and command.outcome != "unanswered":
            if command.settled_ok != (command.outcome == "ok"):
                what = f"{who} was answered {command.outcome}, its result says otherwise"
                yield Finding("invented", what, command.container)
        elif command.settled == "not-found" and command.outcome == "ok":
            yield Finding("lost", f"{who} was answered ok, and has no result", command.container)


def _living(truth: Truth) -> Iterator[Finding]:
    for life in truth.alive:
        yield Finding("left_behind", f"process {life.pid} ({life.mark}) lives")
