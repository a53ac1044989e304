"""The remote side of Wharfside: what orchestrators program with and operators type.

This room speaks to the bus alone, through `connection`, and knows of agents only
what the protocol says. Everything named here is loaded when it is first used: the
CLI's `--help` needs none of it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wharfside_client.calls import deadline_in
    from wharfside_client.changes import (
        ContainerChanged,
        ContainerGone,
        NodeChanged,
        NodeGone,
        Place,
        Resynced,
        State,
        WatchedNode,
    )
    from wharfside_client.client import Wharfside, connect
    from wharfside_client.durable import Posted
    from wharfside_client.errors import (
        ClientError,
        EventsLost,
        NodeUnreachable,
        NotSetUp,
        Pending,
        ServerUnreachable,
        SessionEnded,
        SessionLost,
        Unanswered,
    )
    from wharfside_client.events import EventStream
    from wharfside_client.fleet import Answers, NodeStatus
    from wharfside_client.history import EventFilter, StoredEvent, facts_of
    from wharfside_client.node import Node
    from wharfside_client.session import Request, Session
    from wharfside_client.settings import ServerSettings
    from wharfside_client.specs import container, process
    from wharfside_client.watch import Watch

_HOMES = {
    "calls": ("deadline_in",),
    "changes": (
        "ContainerChanged",
        "ContainerGone",
        "NodeChanged",
        "NodeGone",
        "Place",
        "Resynced",
        "State",
        "WatchedNode",
    ),
    "client": ("Wharfside", "connect"),
    "durable": ("Posted",),
    "errors": (
        "ClientError",
        "EventsLost",
        "NodeUnreachable",
        "NotSetUp",
        "Pending",
        "ServerUnreachable",
        "SessionEnded",
        "SessionLost",
        "Unanswered",
    ),
    "events": ("EventStream",),
    "fleet": ("Answers", "NodeStatus"),
    "history": ("EventFilter", "StoredEvent", "facts_of"),
    "node": ("Node",),
    "session": ("Request", "Session"),
    "settings": ("ServerSettings",),
    "specs": ("container", "process"),
    "watch": ("Watch",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Answers",
    "ClientError",
    "ContainerChanged",
    "ContainerGone",
    "EventFilter",
    "EventStream",
    "EventsLost",
    "Node",
    "NodeChanged",
    "NodeGone",
    "NodeStatus",
    "NodeUnreachable",
    "NotSetUp",
    "Pending",
    "Place",
    "Posted",
    "Request",
    "Resynced",
    "ServerSettings",
    "ServerUnreachable",
    "Session",
    "SessionEnded",
    "SessionLost",
    "State",
    "StoredEvent",
    "Unanswered",
    "Watch",
    "WatchedNode",
    "Wharfside",
    "connect",
    "container",
    "deadline_in",
    "facts_of",
    "process",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
