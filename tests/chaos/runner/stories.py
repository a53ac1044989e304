"""The story of a container that something is wrong with: all that is known, in order of time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from tests.chaos.runner.records import Fault, Records
from tests.chaos.runner.truth import Life, Truth
from tests.chaos.runner.verdict import Finding

from wharfside_protocol.events import Event
from wharfside_protocol.times import NANOSECONDS, from_timestamp

MAX_STORIES = 12
NEAR_NS = NANOSECONDS // 2
FACTS = ("pid", "exit_code", "signal", "reason", "status_source", "unknown_because", "watched_by")

Line = tuple[int, str]


def stories(
    findings: Sequence[Finding], truth: Truth, events: Sequence[Event], records: Records
) -> Iterator[str]:
    """One text a container, of the first that have findings."""
    names = list(dict.fromkeys(each.container for each in findings if each.container))
    for name in names[:MAX_STORIES]:
        head = [str(finding) for finding in findings if finding.container == name]
        yield "\n".join([f"---- {name} ----", *head, *_story(name, truth, events, records)])
    if len(names) > MAX_STORIES:
        yield f"... and {len(names) - MAX_STORIES} more containers"


def _story(name: str, truth: Truth, events: Sequence[Event], records: Records) -> Iterator[str]:
    lines = [
        *_told(event for event in events if event.container == name),
        *_happened(name, truth, records),
        *_asked(name, records),
    ]
    if not lines:
        return
    first, last = min(lines)[0] - NEAR_NS, max(lines)[0] + NEAR_NS
    lines += [line for line in _hurt(records.faults) if first <= line[0] <= last]
    for at, text in sorted(lines):
        moment = datetime.fromtimestamp(at / NANOSECONDS, UTC)
        yield f"  {moment:%H:%M:%S.%f}  {text}"


def _told(events: Iterable[Event]) -> Iterator[Line]:
    for event in events:
        facts = " ".join(f"{key}={event.data[key]}" for key in FACTS if key in event.data)
        who = f"{event.run} {event.process or ''} #{event.seq} by {event.cause}"
        line = f"told      {event.type} {who} {facts} (occurred {event.occurred_at[11:26]})"
        yield from_timestamp(event.observed_at), line


def _happened(name: str, truth: Truth, records: Records) -> Iterator[Line]:
    for life in truth.marked():
        owner = records.owners[life.mark or ""]
        if owner.container == name:
            yield from _of_life(owner.process, life)


def _of_life(process: str, life: Life) -> Iterator[Line]:
    if life.began_at is not None:
        yield life.began_at, f"kernel    {process} runs, pid {life.pid}"
    if life.ended_at is not None:
        yield life.ended_at, f"kernel    {process} ends, code {life.code}, signal {life.signal}"


def _asked(name: str, records: Records) -> Iterator[Line]:
    for command in records.commands:
        if command.container != name:
            continue
        yield command.sent_at, f"sent      {command.op} {command.id}"
        if command.answered_at is not None:
            yield command.answered_at, f"answered  {command.op} {command.outcome} {command.message}"


def _hurt(faults: Iterable[Fault]) -> Iterator[Line]:
    for fault in faults:
        victims = f" of {fault.victims}" if fault.victims else ""
        yield fault.begun_at, f"FAULT     {fault.kind} {fault.note} {fault.pids}{victims}"
        if fault.ended_at is not None and fault.ended_at - fault.begun_at > 10**7:
            yield fault.ended_at, f"FAULT     over: {fault.kind}"
