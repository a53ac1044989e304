"""The folded present state of a fleet, with what is due by time; no I/O.

All that is told goes in here, message by message, and the changes come out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import msgspec

from wharfside_client.changes import (
    ContainerChange,
    NodeChange,
    NodeChanged,
    NodeGone,
    Place,
    State,
    WatchedNode,
)
from wharfside_client.folding import (
    Entry,
    Folded,
    believe,
    differences,
    fold_event,
    fold_projection,
    needs_history,
    stamp,
)
from wharfside_protocol.events import Event
from wharfside_protocol.states import ContainerState
from wharfside_protocol.times import from_timestamp
from wharfside_protocol.views import ContainerCounts, ContainerProjection, NodeInfo

GRAVES = 10_000
"""Deleted ones remembered, so that what is told late of them raises no ghost."""
AHEAD_S = 5.0
"""So long a projection waits for the events that it follows; then the stream is asked."""


@dataclass(frozen=True, slots=True)
class WatchFilter:
    """Which part of the fleet: nodes by name (None: all), containers by their labels."""

    nodes: frozenset[str] | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def node(self) -> str:
        """The one node that is wanted, as a token of subjects; `*` where it is not just one."""
        return next(iter(self.nodes)) if self.nodes is not None and len(self.nodes) == 1 else "*"

    def node_wanted(self, node: str) -> bool:
        return self.nodes is None or node in self.nodes

    def wanted(self, told: Event | ContainerProjection) -> bool:
        return self.node_wanted(told.node) and self.labels.items() <= told.labels.items()


class Picture:
    """
    Attributes:
        seq: every event of the stream up to this one is in it.
        ahead: the places whose projection waits for its events, with the time when that
            is over (seconds, monotonic), the earliest first.
    """

    def __init__(self, wanted: WatchFilter) -> None:
        self.seq = 0
        self.ahead: dict[Place, float] = {}
        self._wanted = wanted
        self._entries: dict[Place, Entry] = {}
        self._graves: dict[Place, None] = {}
        self._containers: dict[Place, ContainerProjection] = {}
        self._last: dict[Place, Event] = {}
        self._nodes: dict[str, WatchedNode] = {}

    @property
    def state(self) -> State:
        """A view that goes with the picture; `copied` for one that stays."""
        return State(
            self.seq,
            MappingProxyType(self._nodes),
            MappingProxyType(self._containers),
            MappingProxyType(self._last),
        )

    def entry(self, place: Place) -> Entry:
        return self._entries.get(place, Entry())

    def unclear(self, event: Event) -> Place | None:
        """The place of `event` where its history must be read before it can be told."""
        if event.container is None or not self._wanted.wanted(event):
            return None
        place = Place(event.node, event.container)
        return place if needs_history(self.entry(place), event) else None

    def event(self, seq: int, event: Event, now_s: float) -> list[ContainerChange]:
        self.seq = max(self.seq, seq)
        if event.container is None or not self._wanted.wanted(event):
            return []
        place = Place(event.node, event.container)
        changes = self._set(place, fold_event(self.entry(place), event, seq), now_s)
        self.remember({place: event})
        return changes

    def remember(self, events: Mapping[Place, Event]) -> None:
        """Last events of containers that are there; an older one changes nothing."""
        for place, event in events.items():
            known = self._last.get(place)
            if place in self._containers and (known is None or stamp(known) <= stamp(event)):
                self._last[place] = event

    def projection(self, told: ContainerProjection, now_s: float) -> list[ContainerChange]:
        place = Place(told.node, told.container)
        if not self._wanted.wanted(told):
            if place not in self._containers:
                return []
            # another one has the name of ours, whose end was not told
            told = msgspec.structs.replace(told, state=ContainerState.DELETED)
        return self._set(place, fold_projection(self.entry(place), told), now_s)

    def believe(self, place: Place, now_s: float) -> list[ContainerChange]:
        """The events that lead to the projection of this place do not come."""
        return self._set(place, believe(self.entry(place)), now_s)

    def replace(
        self, views: Mapping[Place, ContainerProjection], now_s: float
    ) -> list[ContainerChange]:
        """What was read anew, in place of all that was known; what is not in it is gone."""
        changes: list[ContainerChange] = []
        for place in [*self._entries, *(new for new in views if new not in self._entries)]:
            old, view = self.entry(place), views.get(place)
            if view is None or not self._wanted.wanted(view):
                changes += differences(old.view, None)
                self._drop(place)
            elif (view.epoch, view.seq) >= old.stamp:
                changes += self._set(place, (Entry(view), differences(old.view, view)), now_s)
        return changes

    def presence(self, info: NodeInfo, seen_at: str, *, silent: bool) -> list[NodeChange]:
        """A node's put; `silent` where it is that old already."""
        if not self._wanted.node_wanted(info.node):
            return []
        old, new = self._nodes.get(info.node), WatchedNode(info, seen_at, silent)
        if old is not None and from_timestamp(seen_at) < from_timestamp(old.seen_at):
            return []
        self._nodes[info.node] = new
        same = old is not None and old.silent == silent and _said(old.info) == _said(info)
        return [] if same else [NodeChanged(old, new)]

    def silent(self, node: str) -> list[NodeChange]:
        old = self._nodes.get(node)
        if old is None or old.silent:
            return []
        self._nodes[node] = replace(old, silent=True)
        return [NodeChanged(old, self._nodes[node])]

    def removed(self, node: str) -> list[NodeChange]:
        old = self._nodes.pop(node, None)
        return [] if old is None else [NodeGone(old)]

    def keep_nodes(self, names: Iterable[str]) -> list[NodeChange]:
        """All others were removed."""
        return [each for name in set(self._nodes) - set(names) for each in self.removed(name)]

    def _set(self, place: Place, folded: Folded, now_s: float) -> list[ContainerChange]:
        entry, changes = folded
        self._entries[place] = entry
        if entry.ahead is None:
            self.ahead.pop(place, None)
        else:
            self.ahead.setdefault(place, now_s + AHEAD_S)
        present = entry.present
        if present is not None:
            self._containers[place] = present
            self._graves.pop(place, None)
        else:
            self._containers.pop(place, None)
            self._last.pop(place, None)
            self._bury(place)
        return changes

    def _bury(self, place: Place) -> None:
        self._graves.pop(place, None)
        self._graves[place] = None
        if len(self._graves) > GRAVES:
            self._drop(next(iter(self._graves)))

    def _drop(self, place: Place) -> None:
        for known in (self._entries, self._graves, self._containers, self._last, self.ahead):
            known.pop(place, None)


def copied(state: State) -> State:
    """`state` as it is now, for somebody who keeps it."""
    return State(state.seq, dict(state.nodes), dict(state.containers), dict(state.last))


def _said(info: NodeInfo) -> NodeInfo:
    """What a node says of itself, without what is different in every put."""
    return msgspec.structs.replace(
        info, at="", published_through=None, containers=ContainerCounts()
    )
