"""The order of events as docs/architecture.md promises it, checked over whatever a stream holds.

    assert not violations(events)

Every module of integration tests puts all of its events through this when it is over, so that a
test of one thing finds what another thing broke. `events` are in the order of the stream.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from wharfside_protocol.events import TERMINAL_TYPES, Event
from wharfside_protocol.events import EventType as T
from wharfside_protocol.states import INIT
from wharfside_protocol.times import from_timestamp

K = TypeVar("K")

_FIRST = {T.CREATED, T.CREATE_FAILED}
_LAST = {T.DELETED, T.CREATE_FAILED}
_BEGINS = {T.STARTED, T.RESTORED}
_POLICY = {T.RESTARTING, T.NOT_RESTARTING}
_AFTER_END = {T.DELETED, T.LOG_LOST, *_POLICY}


def violations(events: Iterable[Event]) -> list[str]:
    """Each promise that was broken, as one line; none where all is well."""
    told = list(events)
    drops = _drops(told)
    broken = [*_of_epochs(told, drops), *_of_times(told), *_of_drops(told)]
    lanes = _grouped(told, _lane)
    for (_node, name), lane in lanes.items():
        broken += _of_lane(name, lane, drops)
    incarnations = _grouped(told, lambda event: event.incarnation)
    for incarnation, life in incarnations.items():
        who = f"{life[0].container} {incarnation}"
        if any((_epoch(event), event.prev_seq) in drops for event in life):
            broken += _of_torn_life(who, life)
        elif incarnation is not None:
            broken += _of_life(who, life)
    return broken


def _lane(event: Event) -> tuple[str, str]:
    return event.node, event.container or "_node"


def _epoch(event: Event, epoch: int | None = None) -> tuple[str, str, int]:
    return (event.node, event.node_id, epoch or event.epoch)


def _drops(told: Sequence[Event]) -> set[tuple[object, int | None]]:
    """(epoch, seq) of every event that an `events-dropped` names, and that is not there."""
    named: set[tuple[object, int | None]] = {
        (_epoch(event, event.data.get("epoch")), seq)
        for event in told
        if event.type is T.EVENTS_DROPPED
        for seq in range(event.data["from"], event.data["to"] + 1)
    }
    return named - {(_epoch(event), event.seq) for event in told}


def _of_drops(told: Sequence[Event]) -> Iterator[str]:
    """Terminal events are never dropped; what is said to be dropped was not told."""
    for drop in (event for event in told if event.type is T.EVENTS_DROPPED):
        types = set(drop.data["types"])
        if types & TERMINAL_TYPES:
            yield f"{_name(drop)}: terminal events were dropped: {types & TERMINAL_TYPES}"
        epoch = _epoch(drop, drop.data.get("epoch"))
        for event in told:
            within = drop.data["from"] <= event.seq <= drop.data["to"]
            if _epoch(event) == epoch and within and event.type in types:
                yield f"{_name(event)}: told, though {_name(drop)} says that it was dropped"


def _of_torn_life(who: str, life: Sequence[Event]) -> Iterator[str]:
    """One of which events were dropped: what is left is in order and once."""
    types = [event.type for event in life]
    ends = [(event.run, event.process) for event in life if event.type is T.EXITED]
    if len(set(ends)) < len(ends) or types.count(T.DELETED) > 1:
        yield f"{who}: an end was told twice"
    if T.DELETED in types[:-1]:
        yield f"{who}: {types[types.index(T.DELETED) + 1 :]} after deleted"


def _grouped(events: Iterable[Event], key: Callable[[Event], K]) -> dict[K, list[Event]]:
    groups: dict[K, list[Event]] = defaultdict(list)
    for event in events:
        groups[key(event)].append(event)
    return groups


def _of_epochs(told: Sequence[Event], drops: set[tuple[object, int | None]]) -> Iterator[str]:
    """`seq` is gapless per node and epoch, and no event is there twice."""
    ids = [event.event_id for event in told]
    for twice in {each for each in ids if ids.count(each) > 1} if len(set(ids)) < len(ids) else ():
        yield f"event {twice} is stored twice"
    for epoch, events in _grouped(told, lambda e: (e.node, e.node_id, e.epoch)).items():
        found = sorted(event.seq for event in events)
        dropped = {seq for where, seq in drops if where == epoch}
        missing = sorted(set(range(1, found[-1] + 1)) - set(found) - dropped)
        if missing:
            yield f"{epoch}: seq {missing} were never told"
        if len(set(found)) < len(found):
            yield f"{epoch}: a seq was given twice"


def _of_times(told: Sequence[Event]) -> Iterator[str]:
    for event in told:
        observed, published = event.observed_at, event.published_at
        if from_timestamp(event.occurred_at) > from_timestamp(observed):
            yield f"{_name(event)}: observed before it occurred"
        if published is None or from_timestamp(published) < from_timestamp(observed):
            yield f"{_name(event)}: published {published}, observed {observed}"


def _of_lane(
    name: object, lane: Sequence[Event], drops: set[tuple[object, int | None]]
) -> Iterator[str]:
    """The stream has a container's events in the order in which they were appended."""
    last: dict[tuple[str, str, int], int] = {}
    for event in lane:
        epoch = (event.node, event.node_id, event.epoch)
        before = last.get(epoch)
        if event.prev_seq != before and (epoch, event.prev_seq) not in drops:
            yield f"{_name(event)}: prev_seq {event.prev_seq}, but {before} came before"
        last[epoch] = event.seq
    open_life: str | None = None
    for event in lane:
        after_a_gap = (_epoch(event), event.prev_seq) in drops
        if open_life not in (None, event.incarnation) and not after_a_gap:
            yield f"{name}: {event.incarnation} has {event.type} while {open_life} is not deleted"
        open_life = None if event.type in _LAST else event.incarnation


def _of_life(who: str, life: Sequence[Event]) -> Iterator[str]:
    """One incarnation, from `created` to `deleted`."""
    types = [event.type for event in life]
    if types[0] not in _FIRST:
        yield f"{who}: begins with {types[0]}"
    for type_ in (T.CREATED, T.CREATE_FAILED, T.DELETED):
        if types.count(type_) > 1:
            yield f"{who}: {type_} {types.count(type_)} times"
    for last in _LAST & set(types[:-1]):
        yield f"{who}: {types[types.index(last) + 1 :]} after {last}"
    yield from _rising(who, "revision", [event.revision for event in life])
    yield from _rising(who, "run", [event.run for event in life])
    if len({tuple(sorted(event.labels.items())) for event in life}) > 1:
        yield f"{who}: the labels differ from event to event"
    runs = _grouped(life, lambda event: event.run)
    for run, events in runs.items():
        yield from _of_run(f"{who}-{run}", events, over=types[-1] is T.DELETED)
    yield from _of_runs(who, list(runs.values()))


def _rising(who: str, what: str, values: Sequence[int | None]) -> Iterator[str]:
    if None in values:
        yield f"{who}: an event without its {what}"
    elif list(values) != sorted(values):  # type: ignore[type-var]
        yield f"{who}: {what} falls: {values}"


def _of_runs(who: str, runs: Sequence[Sequence[Event]]) -> Iterator[str]:
    """One after the other, each by a command or announced."""
    for run in runs:
        yield from _of_policy(f"{who}-{run[0].run}", run)
    for before, run in itertools.pairwise(runs):
        number = run[0].run
        if number != (before[0].run or 0) + 1:
            yield f"{who}: run {number} after run {before[0].run}"
        if not any(map(_ends_run, before)):
            yield f"{who}: run {number} begins before the end of run {before[0].run}"
        told = [event.data.get("next_run") for event in before if event.type is T.RESTARTING]
        begins = next((e for e in run if e.type in _BEGINS or _is_refusal(e)), None)
        if begins is not None and begins.cause is None and number not in told:
            yield f"{who}: run {number} by no command, and no restarting was told before"


def _of_policy(who: str, run: Sequence[Event]) -> Iterator[str]:
    """A policy speaks of a run that is over; once it rests it does so until a start or a boot."""
    rests: int | None = None
    over = False
    for event in run:
        over = over or _ends_run(event)
        if event.type in _POLICY and not over:
            yield f"{who}: {event.type} before its end"
        if event.type is T.RESTARTING:
            if event.data.get("next_run") != (event.run or 0) + 1:
                yield f"{who}: restarting names run {event.data.get('next_run')}"
            if rests == event.epoch:
                yield f"{who}: restarting after not-restarting"
        rests = event.epoch if event.type is T.NOT_RESTARTING else rests


def _ends_run(event: Event) -> bool:
    return (event.type is T.EXITED and event.process == INIT) or _is_refusal(event)


def _is_refusal(event: Event) -> bool:
    """Of the run itself, not of an exec."""
    return event.type is T.START_FAILED and event.process in (None, INIT)


def _of_run(who: str, run: Sequence[Event], *, over: bool) -> Iterator[str]:
    for process, events in _grouped(run, lambda event: event.process).items():
        yield from _of_sessions(who, events)
        if process not in (None, INIT):
            yield from _of_exec(f"{who}/{process}", events, over=over)
    yield from _of_init(who, run, over=over)
    yield from _of_pauses(who, run)
    yield from _of_pressures(who, run)


def _of_exec(who: str, events: Sequence[Event], *, over: bool) -> Iterator[str]:
    """exec-added < exec-started < exited, or exec-added < start-failed."""
    beside = (
        *(T.SIGNALED, T.MONITOR_LOST, T.EVENT_MISSED, T.LOG_LOST),
        *(T.ATTACHED, T.DETACHED),
    )
    types = [event.type for event in events if event.type not in beside]
    good = [
        [T.EXEC_ADDED],
        [T.EXEC_ADDED, T.START_FAILED],
        [T.EXEC_ADDED, T.EXEC_STARTED],
        [T.EXEC_ADDED, T.EXEC_STARTED, T.EXITED],
    ]
    if not types:
        return  # the log of one of an older run
    if types not in good:
        yield f"{who}: {types}"
    if over and types not in (good[1], good[3]):
        yield f"{who}: deleted, but only {types}"


def _of_sessions(who: str, events: Sequence[Event]) -> Iterator[str]:
    """attached < detached of a session, and both before the exit of their process."""
    attached: set[str] = set()
    over = False
    for event in events:
        if event.type in (T.ATTACHED, T.DETACHED) and over:
            yield f"{who}: {event.type} after {event.process} exited"
        if event.type is T.DETACHED and event.data["session"] not in attached:
            yield f"{who}: detached {event.data['session']}, which was not attached"
        if event.type is T.ATTACHED:
            attached.add(event.data["session"])
        over = over or event.type is T.EXITED


def _of_init(who: str, run: Sequence[Event], *, over: bool) -> Iterator[str]:
    types = [event.type for event in run]
    started = types.count(T.STARTED) + types.count(T.RESTORED)
    ends = [n for n, event in enumerate(run) if event.type is T.EXITED and event.process == INIT]
    if started > 1 or len(ends) > 1:
        yield f"{who}: started {started} times, exited {len(ends)} times"
    if over and started and not ends:
        yield f"{who}: deleted, and no exit was told"
    if not ends:
        return
    end = run[ends[0]]
    before, after = run[: ends[0]], run[ends[0] + 1 :]
    if _BEGINS & {event.type for event in after}:
        yield f"{who}: started after it exited"
    yield from _of_end(who, end, before)
    yield from _of_aftermath(who, end, before, after)


def _of_end(who: str, end: Event, before: Sequence[Event]) -> Iterator[str]:
    types = [event.type for event in before]
    if end.data.get("oom_killed") and T.OOM not in types:
        yield f"{who}: killed for memory, and no oom was told before"
    if end.data["reason"] == "checkpoint" and T.CHECKPOINTED not in types:
        yield f"{who}: exited for a checkpoint, and no checkpointed was told before"
    if end.data["reason"] == "stop" and T.STOPPING not in types:
        yield f"{who}: exited for a stop, and no stopping was told before"
    started = [event for event in before if event.type in _BEGINS]
    if started and from_timestamp(started[0].occurred_at) > from_timestamp(end.occurred_at):
        yield f"{who}: exited at {end.occurred_at}, started at {started[0].occurred_at}"


_OF_EXECS = {T.EXEC_STARTED, T.EXITED, T.START_FAILED}
"""One that was being launched when init ended is refused by its runtime, perhaps late."""


def _of_aftermath(
    who: str, end: Event, before: Sequence[Event], after: Sequence[Event]
) -> Iterator[str]:
    """After init's end only what becomes of the execs that it names as pending, and the delete."""
    pending = set(end.data.get("execs_pending", []))
    running = {event.process for event in before if event.type is T.EXEC_STARTED}
    running -= {event.process for event in before if event.type is T.EXITED}
    if running - pending:
        yield f"{who}: execs {running - pending} still ran, and the exit does not name them"
    for event in after:
        late_exec = event.type in _OF_EXECS and event.process in pending
        if not late_exec and event.type not in _AFTER_END:
            yield f"{who}: {event.type} of {event.process} after it exited"


def _of_pauses(who: str, run: Sequence[Event]) -> Iterator[str]:
    paused = False
    for event in run:
        if event.type in (T.PAUSED, T.RESUMED):
            if paused == (event.type is T.PAUSED):
                yield f"{who}: {event.type} while it is{'' if paused else ' not'} paused"
            paused = event.type is T.PAUSED


def _of_pressures(who: str, run: Sequence[Event]) -> Iterator[str]:
    """Within the run; an agent that came back knows of none, and says again that it begins."""
    begun: set[str] = set()
    started = False
    for event in run:
        started = started or event.type in _BEGINS
        if event.type is not T.PRESSURE:
            continue
        resource, phase = event.data["resource"], event.data["phase"]
        if not started:
            yield f"{who}: {event.type} before it started"
        if phase != "begins" and resource not in begun:
            yield f"{who}: pressure on {resource} {phase}, and was not told to begin"
        begun = begun - {resource} if phase == "over" else begun | {resource}


def _name(event: Event) -> str:
    return f"{event.container or event.node} #{event.seq} {event.type}"
