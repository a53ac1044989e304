"""What `ps --watch` prints: what there is as a table, then a line for each change."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from wharfside_client.changes import (
    Change,
    ContainerChanged,
    ContainerGone,
    NodeChanged,
    NodeGone,
    Resynced,
    State,
    WatchedNode,
)
from wharfside_client.cli.output import Column, Output, clean
from wharfside_client.cli.words import age, exit_words, state_words

if TYPE_CHECKING:
    from wharfside_protocol.views import ContainerProjection

COLUMNS = (
    Column("CONTAINER", "bold", grows=True),
    Column("STATE", "cyan"),
    Column("EXIT"),
    Column("AGE", right=True),
    Column("PID", right=True),
)
WIDTHS = (20, 9, 12, 4, 7)
"""Lines come one by one; they stand below one another where nothing that comes is longer."""


class WatchLines:
    """Tells people; `all`: at the beginning those that have ended, too."""

    def __init__(self, output: Output, *, all: bool) -> None:
        self._output = output
        self._all = all
        self._widths = list(WIDTHS)

    def tell(self, change: Change) -> None:
        match change:
            case State():
                self._tell_state(change)
            case ContainerChanged(new=view):
                self._line(_row(view))
            case ContainerGone(old=view):
                self._line([_name(view), "deleted", exit_words(view.exit), "-", "-"])
            case NodeChanged(old=before, new=node):
                # Its mailbox or its labels may have changed, too: that is for scripts.
                if before is None or _standing(before) != _standing(node):
                    self._output.warn(f"node {node.node} is {_standing(node)}")
            case NodeGone(old=node):
                self._output.warn(f"node {node.node} was removed")
            case Resynced(because=because):
                self._output.warn(f"read anew, changes between are not told: {because}")

    def _tell_state(self, state: State) -> None:
        views = [
            view for _, view in sorted(state.containers.items()) if self._all or view.state.live
        ]
        self._widths[0] = max([self._widths[0], *(len(_name(view)) for view in views)])
        self._line([column.title for column in COLUMNS])
        for view in views:
            self._line(_row(view))
        for node in state.nodes.values():
            if node.silent:
                self._output.warn(f"node {node.node} is silent: what runs there may be otherwise")

    def _line(self, cells: list[str]) -> None:
        padded = [
            clean(cell).rjust(width) if column.right else clean(cell).ljust(width)
            for cell, width, column in zip(cells, self._widths, COLUMNS, strict=True)
        ]
        self._output.line("  ".join(padded).rstrip())


def as_object(change: Change) -> dict[str, Any]:
    """A change as one object a line; `seq` is the event's place in the stream.

    Of a `state` and of `resynced` it is where the state stands.
    """
    match change:
        case State():
            return {
                "type": "state",
                "seq": change.seq,
                "nodes": [_node(node) for _, node in sorted(change.nodes.items())],
                "containers": [view for _, view in sorted(change.containers.items())],
            }
        case ContainerChanged():
            told = {"type": "container-changed", "seq": change.seq}
            return told | {"old": change.old, "new": change.new, "event": _event(change)}
        case ContainerGone():
            told = {"type": "container-gone", "seq": change.seq}
            return told | {"old": change.old, "event": _event(change)}
        case NodeChanged():
            old = None if change.old is None else _node(change.old)
            return {"type": "node-changed", "old": old, "new": _node(change.new)}
        case NodeGone():
            return {"type": "node-gone", "old": _node(change.old)}
        case Resynced():
            return {"type": "resynced", "seq": change.seq, "because": change.because}


def _row(view: ContainerProjection) -> list[str]:
    since = view.exit.exited_at if view.exit else view.started_at or view.at
    return [
        _name(view),
        state_words(view),
        exit_words(view.exit),
        age(since, time.time_ns()),
        str(view.pid or "-"),
    ]


def _name(view: ContainerProjection) -> str:
    return f"{view.node}/{view.container}"


def _node(node: WatchedNode) -> dict[str, Any]:
    return {"silent": node.silent, "seen_at": node.seen_at, "info": node.info}


def _standing(node: WatchedNode) -> str:
    return "silent" if node.silent else node.info.state


def _event(change: ContainerChanged | ContainerGone) -> str | None:
    return None if change.event is None else str(change.event.type)
