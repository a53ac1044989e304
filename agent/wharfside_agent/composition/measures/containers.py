"""What runs here, and what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import product

from wharfside_agent.composition.measures.sources import Sources
from wharfside_agent.metrics.metric import Kind, Metric
from wharfside_protocol.events import EventType
from wharfside_protocol.exits import ExitReason
from wharfside_protocol.states import INIT, ContainerState

_STATES = [str(state) for state in ContainerState if state is not ContainerState.DELETED]
_EXITS = [(process, str(reason)) for process, reason in product((INIT, "exec"), ExitReason)]


def _by_state(source: Sources) -> Mapping[str, float]:
    states = Counter(str(live.row.state) for live in source.parts.containers)
    return {state: states[state] for state in _STATES}


def _events(source: Sources) -> Mapping[str, float]:
    """Of a container: each is there from the first scrape on, so that a rate sees it begin."""
    events = source.parts.containers.figures.events
    return {type_: events[type_] for type_ in _OF_CONTAINERS}


_OF_NODES = {
    EventType.UP,
    EventType.DRAINING,
    EventType.DOWN,
    EventType.SNAPSHOT,
    EventType.CREDENTIALS_EXPIRING,
    EventType.EVENTS_DROPPED,
    EventType.AUDIT,
}
_OF_CONTAINERS = [str(type_) for type_ in EventType if type_ not in _OF_NODES]


def _exits(source: Sources) -> Mapping[tuple[str, str], float]:
    exits = source.parts.containers.figures.exits
    return {key: exits[key] for key in _EXITS}


CONTAINERS: tuple[Metric[Sources], ...] = (
    Metric(
        "wharfside_containers",
        Kind.GAUGE,
        "Containers that are not deleted, by state.",
        _by_state,
        ("state",),
    ),
    Metric(
        "wharfside_container_events_total",
        Kind.COUNTER,
        "Events of containers, counted as they were committed, in this life of the agent.",
        _events,
        ("type",),
    ),
    Metric(
        "wharfside_exits_total",
        Kind.COUNTER,
        "Processes that ended, by what they were (`init`, `exec`) and why.",
        _exits,
        ("process", "reason"),
    ),
    Metric(
        "wharfside_exits_unknown_total",
        Kind.COUNTER,
        "Those of which nobody saw the exit status.",
        lambda source: source.parts.containers.figures.unknown_exits,
    ),
    Metric(
        "wharfside_oom_kills_total",
        Kind.COUNTER,
        "Processes that the kernel killed in containers at their memory limit.",
        lambda source: source.parts.containers.figures.oom_kills,
    ),
    Metric(
        "wharfside_restarts_total",
        Kind.COUNTER,
        "Runs that a restart policy decided on.",
        lambda source: source.parts.containers.figures.events[EventType.RESTARTING],
    ),
)
