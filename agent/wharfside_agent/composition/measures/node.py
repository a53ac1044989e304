"""The node itself: who it is, whether it is ready, its loop, its disk, the pressure on it."""

from __future__ import annotations

import platform
from collections.abc import Mapping

from wharfside_agent.composition.measures.sources import Sources
from wharfside_agent.metrics.metric import Kind, Metric
from wharfside_protocol import PROTOCOL_VERSION, __version__
from wharfside_protocol.views import Resources

USEC = 1e-6


def _waiting(source: Sources) -> Mapping[tuple[str, str], float]:
    return {key: each.some.total_us * USEC for key, each in source.pressure.items()}


def _stalled(source: Sources) -> Mapping[tuple[str, str], float]:
    """Not of CPU: a machine as a whole cannot stall on that, and the kernel says 0."""
    told = {key: each.full for key, each in source.pressure.items() if key[1] != "cpu"}
    return {key: full.total_us * USEC for key, full in told.items() if full is not None}


def _ready(source: Sources) -> Mapping[str, float]:
    parts = source.parts.readiness.parts()
    return {part: float(why is None) for part, why in parts.items()}


def _info(source: Sources) -> Mapping[tuple[str, str, str], float]:
    identity = source.parts.store.identity
    return {(identity.node, identity.node_id, identity.boot_id): 1.0}


def _amounts(of: Resources) -> Mapping[tuple[str, str], float]:
    return {
        ("memory", "byte"): of.memory_bytes,
        ("cpu", "core"): of.cpu_percent / 100,
        ("pids", "process"): of.pids,
    }


NODE: tuple[Metric[Sources], ...] = (
    Metric(
        "wharfside_build_info",
        Kind.GAUGE,
        "Always 1; which agent this is.",
        lambda _: {(__version__, str(PROTOCOL_VERSION), platform.python_version()): 1.0},
        ("version", "protocol", "python"),
    ),
    Metric(
        "wharfside_node_info",
        Kind.GAUGE,
        "Always 1; which node it is, to be joined on `instance`.",
        _info,
        ("node", "node_id", "boot_id"),
    ),
    Metric(
        "wharfside_ready",
        Kind.GAUGE,
        "1 where the part can do its work; `/readyz` and `wharfside info` say what is wanting.",
        _ready,
        ("part",),
    ),
    Metric(
        "wharfside_draining",
        Kind.GAUGE,
        "1 while the node takes no new work.",
        lambda source: float(source.parts.drain.draining),
    ),
    Metric(
        "wharfside_loop_lag_seconds",
        Kind.HISTOGRAM,
        "How much too late the agent's event loop came back to a sleeper, looked at once a second.",
        lambda source: source.parts.loop_watch.lags,
    ),
    Metric(
        "wharfside_store_commit_duration_seconds",
        Kind.HISTOGRAM,
        "Commits to the store: on the loop, and in its thread (with fsync, or while the disk is "
        "slow).",
        lambda source: source.parts.store.commit_seconds,
        ("by",),
    ),
    Metric(
        "wharfside_disk_size_bytes",
        Kind.GAUGE,
        "Size of the file system of state_dir.",
        lambda source: source.disk_bytes,
    ),
    Metric(
        "wharfside_disk_available_bytes",
        Kind.GAUGE,
        "What is free of it.",
        lambda source: source.free_bytes,
    ),
    Metric(
        "wharfside_disk_reserve_size_bytes",
        Kind.GAUGE,
        "What the agent keeps back there for ends to come (disk.reserve_mib).",
        lambda source: source.parts.store.reserve.size,
    ),
    Metric(
        "wharfside_disk_reserve_left_bytes",
        Kind.GAUGE,
        "What is left of that: less than its size since the disk was full.",
        lambda source: source.parts.store.reserve.left,
    ),
    Metric(
        "wharfside_pressure_waiting_seconds_total",
        Kind.COUNTER,
        "Time in which some task waited for the resource (PSI `some`), of the host and of all "
        "containers together (where cgroup v2 is mounted).",
        _waiting,
        ("scope", "resource"),
    ),
    Metric(
        "wharfside_pressure_stalled_seconds_total",
        Kind.COUNTER,
        "Time in which all of them did (PSI `full`).",
        _stalled,
        ("scope", "resource"),
    ),
    Metric(
        "wharfside_credentials_expire_seconds",
        Kind.GAUGE,
        "When what lets the agent in expires (Unix time), by what it is (`jwt`, `certificate`, "
        "`ca`) and its path; those without an end are left out.",
        lambda source: source.parts.credentials.ends(),
        ("credential", "path"),
    ),
    Metric(
        "wharfside_capacity_allocatable",
        Kind.GAUGE,
        "What the node may promise its containers in all.",
        lambda source: _amounts(source.parts.capacity.view().total),
        ("resource", "unit"),
    ),
    Metric(
        "wharfside_capacity_promised",
        Kind.GAUGE,
        "What it has promised them: the sum of their limits, not what they use.",
        lambda source: _amounts(source.parts.capacity.view().promised),
        ("resource", "unit"),
    ),
    Metric(
        "wharfside_relist_duration_seconds",
        Kind.HISTOGRAM,
        "Comparisons of the machine with the store, with what was done about their findings.",
        lambda source: source.parts.relist.looks,
    ),
    Metric(
        "wharfside_events_missed_total",
        Kind.COUNTER,
        "Changes that no event told until the relist found them, since the store was new: bugs.",
        lambda source: source.parts.relist.missed,
    ),
    Metric(
        "wharfside_orphans",
        Kind.GAUGE,
        "Containers that live here and are not in the store.",
        lambda source: len(source.parts.relist.orphans),
    ),
)
