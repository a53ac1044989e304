"""How events and projections make the present state of one container: pure.

An `Entry` is all that is known of one place. What is told of it carries a stamp,
`(epoch, seq)`, which only rises: what is not newer than the entry changes nothing,
so that duplicates and late messages are harmless, and state never goes backwards.

Events tell every change in turn. A projection tells the same as the event that it
follows, so a newer one waits (`ahead`) until the events have come that far; only
when they do not come (`overdue`) is it believed without them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from wharfside_client.changes import ContainerChange, ContainerChanged, ContainerGone
from wharfside_protocol.codec import convert
from wharfside_protocol.errors import Invalid
from wharfside_protocol.event_facts import Restarting
from wharfside_protocol.events import Event, EventType
from wharfside_protocol.exits import ExitStatus
from wharfside_protocol.states import INIT, ContainerState
from wharfside_protocol.times import NANOSECONDS, from_timestamp, to_timestamp
from wharfside_protocol.views import ContainerProjection

Stamp = tuple[int, int]

_WHOLE = frozenset({EventType.CREATED, EventType.CREATE_FAILED, EventType.DELETED})
"""What these tell needs nothing that came before."""


@dataclass(frozen=True, slots=True)
class Entry:
    """`view` in state `deleted` remembers what was there; None: nothing that can be told yet."""

    view: ContainerProjection | None = None
    ahead: ContainerProjection | None = None

    @property
    def present(self) -> ContainerProjection | None:
        """The container, where there is one."""
        return None if self.view is None or _over(self.view) else self.view

    @property
    def stamp(self) -> Stamp:
        return (0, 0) if self.view is None else stamp(self.view)


Folded = tuple[Entry, list[ContainerChange]]


def stamp(told: Event | ContainerProjection) -> Stamp:
    return (told.epoch, told.seq)


def needs_history(entry: Entry, event: Event) -> bool:
    """Whether what came before `event` was not told here, and is needed to tell it."""
    if stamp(event) <= entry.stamp or event.type in _WHOLE:
        return False
    view = entry.view
    if view is None or view.incarnation != event.incarnation:
        return True
    return event.prev_seq is not None and (event.epoch, event.prev_seq) != entry.stamp


def fold_event(entry: Entry, event: Event, seq: int) -> Folded:
    """The entry after `event`, which the stream has at `seq`."""
    if stamp(event) <= entry.stamp:
        return entry, []
    new = after(entry.view, event)
    if new is None:
        return entry, []
    return _move(entry, new, seq, event)


def fold_projection(entry: Entry, told: ContainerProjection) -> Folded:
    """The entry after the node's projection: newer than the events, it waits for them."""
    if stamp(told) < entry.stamp or _unborn(entry, told):
        return entry, []
    if entry.view is not None and stamp(told) == entry.stamp:
        return _move(entry, told, None, None)
    if entry.ahead is None or stamp(told) >= stamp(entry.ahead):
        entry = Entry(entry.view, told)
    return entry, []


def believe(entry: Entry) -> Folded:
    """The entry with what is `ahead`: the events that lead there do not come."""
    if entry.ahead is None or stamp(entry.ahead) < entry.stamp:
        return Entry(entry.view), []
    return _move(entry, entry.ahead, None, None)


def after(view: ContainerProjection | None, event: Event) -> ContainerProjection | None:
    """The container after `event`; None where its beginning was never told."""
    if event.container is None or event.incarnation is None:
        return None
    if view is not None and view.incarnation != event.incarnation:
        view = None
    if view is None and event.type not in _WHOLE:
        return None
    change = _told_by(event)
    if view is not None and event.run is not None and event.run > view.run:
        change = _new_run(event) | dict(change)
    known: dict[str, Any] = {} if view is None else msgspec.structs.asdict(view)
    told = {
        "node": event.node,
        "container": event.container,
        "incarnation": event.incarnation,
        "run": event.run or known.get("run", 1),
        "revision": event.revision or known.get("revision", 1),
        "epoch": event.epoch,
        "seq": event.seq,
        "labels": event.labels,
        "at": event.observed_at,
    }
    return ContainerProjection(**{**known, **told, **change})


def differences(
    old: ContainerProjection | None,
    new: ContainerProjection | None,
    seq: int | None = None,
    event: Event | None = None,
) -> list[ContainerChange]:
    """What somebody has to be told who knows `old`; a deleted one is none."""
    old = None if old is None or _over(old) else old
    new = None if new is None or _over(new) else new
    if new is None:
        return [] if old is None else [ContainerGone(old, seq, event)]
    if old is None:
        return [ContainerChanged(None, new, seq, event)]
    if old.incarnation != new.incarnation:
        return [ContainerGone(old, seq, event), ContainerChanged(None, new, seq, event)]
    return [] if alike(old, new) else [ContainerChanged(old, new, seq, event)]


def alike(one: ContainerProjection, other: ContainerProjection) -> bool:
    """The same but for when it was told."""
    return _timeless(one) == _timeless(other)


def _move(entry: Entry, new: ContainerProjection, seq: int | None, event: Event | None) -> Folded:
    changes = differences(entry.view, new, seq, event)
    moved = Entry(new, entry.ahead if entry.ahead is not new else None)
    if moved.ahead is None or stamp(moved.ahead) > stamp(new):
        return moved, changes
    if stamp(moved.ahead) < stamp(new):
        return Entry(new), changes
    settled, more = fold_projection(Entry(new), moved.ahead)
    return settled, changes + more


def _unborn(entry: Entry, told: ContainerProjection) -> bool:
    """A name taken again, told with the last event of the one before: `created` will tell."""
    known = entry.view is not None and entry.view.incarnation == told.incarnation
    return told.state is ContainerState.CREATING and not known


def _over(view: ContainerProjection) -> bool:
    return view.state is ContainerState.DELETED


def _timeless(view: ContainerProjection) -> ContainerProjection:
    return msgspec.structs.replace(view, epoch=0, seq=0, at="")


def _told_by(event: Event) -> Mapping[str, Any]:
    """The fields that an event of this type sets."""
    teller = _TELLERS.get(event.type)
    if teller is None or event.process not in (None, INIT):
        return {}
    return teller(event)


def _new_run(event: Event) -> dict[str, Any]:
    """Nothing of the last run is left; a start by command also begins the policy's count anew."""
    fresh = {"stopping": False, "exit": None, "started_at": None, "restart_at": None}
    return fresh if event.cause is None else fresh | {"restarts": 0}


def _restarting(event: Event) -> Mapping[str, Any]:
    try:
        told = convert(event.data, Restarting)
    except Invalid:
        return {}  # as of an exit
    due = from_timestamp(event.occurred_at) + int(told.delay_s * NANOSECONDS)
    return {"restarts": told.attempt, "restart_at": to_timestamp(due)}


def _created(event: Event) -> Mapping[str, Any]:
    return {"state": ContainerState.CREATED, "pid": event.data.get("pid")}


def _started(event: Event) -> Mapping[str, Any]:
    return {
        "state": ContainerState.RUNNING,
        "pid": event.data.get("pid"),
        "started_at": event.occurred_at,
    }


def _exited(event: Event) -> Mapping[str, Any]:
    try:
        status = convert(event.data, ExitStatus)
    except Invalid:
        status = None  # its projection will tell, or not: nothing is made up
    return {"state": ContainerState.STOPPED, "pid": None, "stopping": False, "exit": status}


def _state(state: ContainerState, **also: Any) -> Callable[[Event], Mapping[str, Any]]:
    return lambda _event: {"state": state} | also


_TELLERS: Mapping[EventType, Callable[[Event], Mapping[str, Any]]] = {
    EventType.CREATED: _created,
    EventType.CREATE_FAILED: _state(ContainerState.DELETED, pid=None),
    EventType.STARTED: _started,
    EventType.RESTORED: _started,
    EventType.START_FAILED: _state(ContainerState.STOPPED, pid=None),
    EventType.EXITED: _exited,
    EventType.PAUSED: _state(ContainerState.PAUSED),
    EventType.RESUMED: _state(ContainerState.RUNNING),
    EventType.STOPPING: lambda _event: {"stopping": True},
    EventType.RESTARTING: _restarting,
    EventType.NOT_RESTARTING: lambda _event: {"restart_at": None},
    EventType.DELETED: _state(ContainerState.DELETED, pid=None, stopping=False),
}
