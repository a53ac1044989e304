"""What a watch tells: the whole state once, then every change of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from wharfside_protocol.events import Event
from wharfside_protocol.views import ContainerProjection, NodeInfo


class Place(NamedTuple):
    """A container's name on its node; one incarnation after the other lives there."""

    node: str
    container: str

    def __str__(self) -> str:
        return f"{self.node}/{self.container}"


@dataclass(frozen=True, slots=True)
class WatchedNode:
    """A node by its last presence. `seen_at`: when the server stored that, RFC 3339.

    `silent`: it has put none for 90 s since; what `info` tells may be anything now.
    """

    info: NodeInfo
    seen_at: str
    silent: bool = False

    @property
    def node(self) -> str:
        return self.info.node


@dataclass(frozen=True, slots=True)
class State:
    """All of the fleet, complete up to the event `seq` of the stream; always the first item.

    `last`: the last event of each container, also of those that change nothing of it (`oom`,
    an exec); none where the stream has forgotten it.
    """

    seq: int
    nodes: Mapping[str, WatchedNode] = field(default_factory=dict)
    containers: Mapping[Place, ContainerProjection] = field(default_factory=dict)
    last: Mapping[Place, Event] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NodeChanged:
    """A node is there (`old` None), tells something else of itself, is silent, or is back."""

    old: WatchedNode | None
    new: WatchedNode


@dataclass(frozen=True, slots=True)
class NodeGone:
    """A node was removed from the fleet (`nodes rm`)."""

    old: WatchedNode


@dataclass(frozen=True, slots=True)
class ContainerChanged:
    """A container is there (`old` None), or another than it was.

    `seq` is the sequence of the event that says so in the event stream, and `event`
    that event; None where the node's projection alone tells it.
    """

    old: ContainerProjection | None
    new: ContainerProjection
    seq: int | None = None
    event: Event | None = None


@dataclass(frozen=True, slots=True)
class ContainerGone:
    """This incarnation is deleted; `old` is how it was last."""

    old: ContainerProjection
    seq: int | None = None
    event: Event | None = None


@dataclass(frozen=True, slots=True)
class Resynced:
    """The events between cannot be told: the state was read anew, complete up to `seq`.

    What is different follows as changes without events. `because`: what the stream lost.
    """

    seq: int
    because: str


ContainerChange = ContainerChanged | ContainerGone
NodeChange = NodeChanged | NodeGone
Change = State | ContainerChange | NodeChange | Resynced
