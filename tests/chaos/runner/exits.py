"""Each end that the kernel saw against each `exited` that was told. Pure.

A process and an event are matched by the mark (so by container and process id), and among the
runs of a container by the pid that was told of the run, in order. Where that is not enough (an
exec's pid is told by its start alone, a run may end before it tells its mark), by the nearest time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest

from tests.chaos.runner.records import Fault, Owner, Records
from tests.chaos.runner.truth import Life, Truth
from tests.chaos.runner.verdict import Finding

from wharfside_protocol.codec import convert
from wharfside_protocol.event_facts import Exited
from wharfside_protocol.events import Event
from wharfside_protocol.events import EventType as T
from wharfside_protocol.exits import StatusSource
from wharfside_protocol.states import INIT
from wharfside_protocol.times import NANOSECONDS, from_timestamp

TIME_BOUND_NS = 1 * NANOSECONDS
"""Far above what a file's time and a busy machine cost, far below any confusion of two ends."""

BLIND_BEFORE_NS = NANOSECONDS // 2
"""An end so shortly before a death need not have been seen by who died: nobody committed it, or
conmon had not written its file."""

BLIND_AFTER_NS = NANOSECONDS // 5
"""Ready is told when everything was found again; the fault's log may be that much early."""

Key = tuple[str, str]
EXACT = (StatusSource.WAIT, StatusSource.PIDFD)


class ExitsCheck:
    """`told`, `unknown`, `unmarked` and `late_ns` are there once `findings` was read to its end."""

    def __init__(self, truth: Truth, events: Sequence[Event], records: Records) -> None:
        self._truth = truth
        self._records = records
        self._events = _of_processes(events)
        self.told = 0
        self.unknown = 0
        self.unmarked = 0
        self.late_ns = 0

    def findings(self) -> Iterator[Finding]:
        lives: dict[Key, list[Life]] = defaultdict(list)
        for life in self._truth.marked():
            owner = self._records.owners[life.mark or ""]
            if life.ended_at is not None:
                lives[owner.container, owner.process].append(life)
        owners = {(o.container, o.process): o for o in self._records.owners.values()}
        for key in sorted(lives.keys() | self._events.keys()):
            owner = owners.get(key) or Owner(*key, kind="?")
            yield from self._of_process(owner, lives.get(key, []), self._events.get(key, []))

    def _of_process(
        self, owner: Owner, lives: list[Life], events: list[Event]
    ) -> Iterator[Finding]:
        exits = list(_first_of_runs(events))
        self.told += len(exits)
        starts = [event for event in events if event.type in (T.STARTED, T.EXEC_STARTED)]
        if len(starts) < len(lives):
            what = f"{owner.process} ran {len(lives)} times, started was told {len(starts)} times"
            yield Finding("lost", what, owner.container)
        for life, event in _matched(lives, exits, _pids_of_runs(starts)):
            if event is None and life is not None:
                yield Finding("lost", f"the exit of {owner.process}: {life}", owner.container)
            elif event is not None:
                life = life or self._by_pid(event, events)
                yield from self._of_exit(owner, life, event)

    def _by_pid(self, exit_: Event, events: list[Event]) -> Life | None:
        """One that ended before it told its mark; the pid is of another event of the same run.

        Pids are used again: the end lies between the run's first event and the telling.
        """
        run = [event for event in events if event.run == exit_.run]
        first = min(from_timestamp(event.occurred_at) for event in run)
        last = from_timestamp(exit_.observed_at) + TIME_BOUND_NS
        found = [
            life
            for pid in {event.data.get("pid") for event in run} - {None}
            for life in self._truth.others.get(pid, [])
            if min(first, from_timestamp(exit_.occurred_at)) <= (life.ended_at or 0) <= last
        ]
        self.unmarked += bool(found)
        return found[-1] if found else None

    def _of_exit(self, owner: Owner, life: Life | None, event: Event) -> Iterator[Finding]:
        exited = convert(event.data, Exited)
        where = f"{owner.process}, run {event.run}"
        if life is None:
            what = f"{where}: told {_short(exited)}, and the kernel saw no such end"
            yield Finding("invented", what, owner.container)
            return
        if not exited.status_known:
            if self._nobody_could_know(life):
                self.unknown += 1
            else:
                what = f"{where}: unknown ({exited.unknown_because}), but it was {life}"
                yield Finding("lost", what, owner.container)
            return
        wrong_signal = exited.signal is not None or exited.status_source in EXACT
        wrong_signal = wrong_signal and (exited.signal or 0) != life.signal
        if exited.exit_code != life.code or wrong_signal:
            what = f"{where}: told {_short(exited)}, but it was {life}"
            yield Finding("invented", what, owner.container)
        yield from self._of_time(owner, life, exited, where)
        yield from self._of_oom(owner, life, exited, where)

    def _of_time(self, owner: Owner, life: Life, exited: Exited, where: str) -> Iterator[Finding]:
        late = abs(from_timestamp(exited.exited_at) - (life.ended_at or 0))
        if not exited.time_known:
            if not self._nobody_could_know(life):
                yield Finding("lost", f"{where}: the time of its end: {life}", owner.container)
            return
        self.late_ns = max(self.late_ns, late)
        if late > TIME_BOUND_NS:
            what = f"{where}: told at {exited.exited_at}, {late / 1e6:.0f} ms off: {life}"
            yield Finding("invented", what, owner.container)

    def _of_oom(self, owner: Owner, life: Life, exited: Exited, where: str) -> Iterator[Finding]:
        """Killed by the kernel for its memory, unless somebody asked for its end, too."""
        hit = {pid for fault in self._records.faults for pid in fault.victims}
        asked = owner.container in self._records.kills and not owner.expects_oom
        if owner.expects_oom and life.signal == 9 and life.pid not in hit:
            if not exited.oom_killed and exited.reason not in ("stop", "kill"):
                yield Finding("lost", f"{where}: the OOM kill: {_short(exited)}", owner.container)
        elif exited.oom_killed and not asked and not owner.expects_oom:
            yield Finding("invented", f"{where}: an OOM kill: {_short(exited)}", owner.container)

    def _nobody_could_know(self, life: Life) -> bool:
        """Its monitor was killed, and no agent watched when it ended."""
        return self._unwatched(life) and any(
            _covers(fault, life.ended_at or 0)
            for fault in self._records.faults
            if fault.kind.startswith("agent")
        )

    def _unwatched(self, life: Life) -> bool:
        return any(
            life.pid in fault.victims and fault.begun_at < (life.ended_at or 0) + BLIND_BEFORE_NS
            for fault in self._records.faults
        )


def _covers(fault: Fault, at: int) -> bool:
    end = fault.ended_at or at
    return fault.begun_at - BLIND_BEFORE_NS <= at <= end + BLIND_AFTER_NS


def _of_processes(events: Sequence[Event]) -> dict[Key, list[Event]]:
    """What speaks of a process; `created` and `started` speak of init."""
    found: dict[Key, list[Event]] = defaultdict(list)
    for event in events:
        if event.container is None:
            continue
        if event.type in (T.CREATED, T.STARTED):
            found[event.container, INIT].append(event)
        elif event.process is not None and event.type in (T.EXEC_STARTED, T.EXITED):
            found[event.container, event.process].append(event)
    return found


def _first_of_runs(events: list[Event]) -> Iterator[Event]:
    seen = set()
    for event in events:
        if event.type is T.EXITED and (event.incarnation, event.run) not in seen:
            seen.add((event.incarnation, event.run))
            yield event


def _pids_of_runs(starts: Sequence[Event]) -> dict[tuple[object, object], int]:
    return {
        (event.incarnation, event.run): event.data["pid"] for event in starts if "pid" in event.data
    }


def _matched(
    lives: list[Life], exits: list[Event], pids: Mapping[tuple[object, object], int]
) -> Iterator[tuple[Life | None, Event | None]]:
    if len(lives) == len(exits):
        yield from zip(lives, exits, strict=True)
        return
    free, rest = list(lives), []
    for event in exits:
        pid = pids.get((event.incarnation, event.run))
        same = next((life for life in free if life.pid == pid), None)
        if same is None:
            rest.append(event)
        else:
            free.remove(same)
            yield same, event
    yield from _by_time(free, rest)


def _by_time(free: list[Life], exits: list[Event]) -> Iterator[tuple[Life | None, Event | None]]:
    for event in exits:
        at = from_timestamp(event.occurred_at)
        best = min(free, key=lambda life: abs((life.ended_at or 0) - at), default=None)
        if best is not None and abs((best.ended_at or 0) - at) < TIME_BOUND_NS:
            free.remove(best)
            yield best, event
        else:
            yield None, event
    yield from zip_longest(free, [])


def _short(exited: Exited) -> str:
    return (
        f"code {exited.exit_code}, signal {exited.signal}, {exited.reason}, "
        f"by {exited.status_source} at {exited.exited_at}"
    )
