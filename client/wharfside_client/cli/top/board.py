"""The rows of the table: a state and samples in, rows out, filtered and sorted. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from wharfside_client.changes import Place, State, WatchedNode
from wharfside_client.cli.top.figures import Figures, Samples
from wharfside_client.cli.words import state_words
from wharfside_protocol.events import Event
from wharfside_protocol.views import ContainerProjection


@dataclass(frozen=True, slots=True)
class Row:
    """A container. `event`: the last one, where the stream has it."""

    view: ContainerProjection
    event: Event | None = None
    figures: Figures | None = None
    silent: bool = False

    @property
    def place(self) -> Place:
        return Place(self.view.node, self.view.container)

    @property
    def state(self) -> str:
        return state_words(self.view)

    @property
    def since(self) -> str:
        """The time from which its age counts: its end, its start, or when it was last told."""
        return self.view.exit.exited_at if self.view.exit else self.view.started_at or self.view.at


@dataclass(frozen=True, slots=True)
class NodeRow:
    """`mute`: it should answer, and does not. `running` of `total` containers."""

    node: WatchedNode
    running: int = 0
    total: int = 0
    figures: Figures | None = None
    mute: bool = False

    @property
    def standing(self) -> str:
        if self.node.silent:
            return "silent"
        return "no reply" if self.mute else self.node.info.state


class Sort(StrEnum):
    """By what the containers are ordered; the value is the column's."""

    NAME = "name"
    CPU = "cpu"
    MEMORY = "memory"
    PIDS = "pids"
    PSI = "psi"
    RUN = "run"
    STATE = "state"
    AGE = "age"
    EVENT = "event"

    @property
    def by_figure(self) -> bool:
        """Whether the order needs the figures of all, not only of those on the screen."""
        return self in (Sort.CPU, Sort.MEMORY, Sort.PIDS, Sort.PSI)


@dataclass(frozen=True, slots=True)
class Look:
    """What is shown, and in which order.

    `filter`, by words of which all must fit: `n1/` a node, `key=value` a label (`key=`: any
    value), everything else a part of `node/name`. `all`: those that have ended, too.
    """

    sort: Sort = Sort.NAME
    reverse: bool = False
    filter: str = ""
    all: bool = False

    def by(self, sort: Sort) -> Look:
        """In this order; asked for again, the other way round."""
        return replace(self, sort=sort, reverse=sort is self.sort and not self.reverse)

    def wants(self, view: ContainerProjection) -> bool:
        if not (self.all or view.state.live or view.restart_at):
            return False
        return all(_fits(word, view) for word in self.filter.split())


@dataclass(frozen=True, slots=True)
class Board:
    """All nodes by name; the wanted containers, of `count` that there are."""

    nodes: list[NodeRow]
    rows: list[Row]
    count: int


def make_board(
    state: State, samples: Samples, look: Look, mute: Mapping[str, object], now_s: float
) -> Board:
    """`mute`: nodes that did not answer when they were asked last.

    What a node that was removed has told last stays in the bucket, and is nobody's any more.
    """
    silent = {name for name, node in state.nodes.items() if node.silent}
    known = {place: each for place, each in state.containers.items() if place.node in state.nodes}
    rows = [
        Row(view, state.last.get(place), samples.of(place, now_s), place.node in silent)
        for place, view in known.items()
        if look.wants(view)
    ]
    return Board(_nodes(state, samples, mute, now_s), ordered(rows, look), len(known))


def ordered(rows: list[Row], look: Look) -> list[Row]:
    """What cannot be compared comes last, whichever way round; equal ones go by name."""
    value, high_first = _ORDERS[look.sort]
    named = sorted(rows, key=lambda row: row.place)
    known = [row for row in named if value(row) is not None]
    unknown = [row for row in named if value(row) is None]
    known.sort(key=value, reverse=high_first is not look.reverse)  # type: ignore[arg-type]
    return known + unknown


def _nodes(
    state: State, samples: Samples, mute: Mapping[str, object], now_s: float
) -> list[NodeRow]:
    counts = dict.fromkeys(state.nodes, (0, 0))
    for place, view in state.containers.items():
        running, total = counts.get(place.node, (0, 0))
        counts[place.node] = (running + (view.state == "running"), total + 1)
    return [
        NodeRow(node, *counts[name], samples.of(name, now_s), name in mute)
        for name, node in sorted(state.nodes.items())
    ]


def _fits(word: str, view: ContainerProjection) -> bool:
    key, equals, value = word.partition("=")
    if equals:
        return key in view.labels and value in ("", view.labels[key])
    if word.endswith("/"):
        return view.node == word[:-1]
    return word.lower() in f"{view.node}/{view.container}"


def _memory(row: Row) -> int | None:
    return row.figures.usage.memory_bytes if row.figures else None


_ORDERS: Mapping[Sort, tuple[Callable[[Row], object], bool]] = {
    Sort.NAME: (lambda row: row.place, False),
    Sort.CPU: (lambda row: row.figures.cpu_percent if row.figures else None, True),
    Sort.MEMORY: (_memory, True),
    Sort.PIDS: (lambda row: row.figures.usage.pids if row.figures else None, True),
    Sort.PSI: (lambda row: row.figures.stalled if row.figures else None, True),
    Sort.RUN: (lambda row: (row.view.restarts, row.view.run), True),
    Sort.STATE: (lambda row: row.state, False),
    Sort.AGE: (lambda row: row.since, True),
    Sort.EVENT: (lambda row: row.event.occurred_at if row.event else None, True),
}
"""What is compared, and whether the highest comes first; times: the youngest first."""
