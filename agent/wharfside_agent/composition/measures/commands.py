"""Commands: how long they take, how they end, what waits; and the sessions that they open."""

from __future__ import annotations

from collections.abc import Mapping

from wharfside_agent.composition.measures.sources import Sources
from wharfside_agent.metrics.metric import Kind, Metric

_MAILBOX = ("ok", "missing", "offline")


def _mailbox(source: Sources) -> Mapping[str, float]:
    now = source.parts.mailroom.state
    return {state: float(state == now) for state in _MAILBOX}


COMMANDS: tuple[Metric[Sources], ...] = (
    Metric(
        "wharfside_command_duration_seconds",
        Kind.HISTOGRAM,
        "From a command's arrival to its result, by op, by the way it came (`rpc`, `mailbox`) "
        "and by outcome (`ok`, `error`).",
        lambda source: source.parts.command_figures.seconds,
        ("op", "via", "outcome"),
    ),
    Metric(
        "wharfside_command_errors_total",
        Kind.COUNTER,
        "Commands that were answered with an error, by its code.",
        lambda source: source.parts.command_figures.errors,
        ("op", "code"),
    ),
    Metric(
        "wharfside_lane_wait_seconds",
        Kind.HISTOGRAM,
        "How long work waited for its container's lane.",
        lambda source: source.parts.lanes.waits,
    ),
    Metric(
        "wharfside_lanes_busy",
        Kind.GAUGE,
        "Containers that are worked on now.",
        lambda source: source.parts.lanes.busy,
    ),
    Metric(
        "wharfside_lanes_limit",
        Kind.GAUGE,
        "As many as may be at once (limits.lanes).",
        lambda source: source.parts.settings.limits.lanes,
    ),
    Metric(
        "wharfside_lanes_waiting",
        Kind.GAUGE,
        "Commands that wait for their container's lane now.",
        lambda source: source.parts.lanes.waiting,
    ),
    Metric(
        "wharfside_mailbox_state",
        Kind.GAUGE,
        "1 for how the node's mailbox is now.",
        _mailbox,
        ("state",),
    ),
    Metric(
        "wharfside_mailbox_pending",
        Kind.GAUGE,
        "Durable commands still in the stream when the last one was fetched.",
        lambda source: source.parts.mailbox.pending,
    ),
    Metric(
        "wharfside_mailbox_accepted",
        Kind.GAUGE,
        "Durable commands that are stored here and not done.",
        lambda source: source.parts.mailroom.accepted,
    ),
    Metric(
        "wharfside_dead_letters_total",
        Kind.COUNTER,
        "Letters that are no command, or have another's id: `wharfside dead-letters` lists them.",
        lambda source: source.parts.mailroom.dead_letters,
    ),
    Metric(
        "wharfside_sessions",
        Kind.GAUGE,
        "I/O sessions that are open.",
        lambda source: len(source.parts.sessions),
    ),
    Metric(
        "wharfside_sessions_limit",
        Kind.GAUGE,
        "As many as may be (limits.sessions).",
        lambda source: source.parts.sessions.most,
    ),
    Metric(
        "wharfside_sessions_opened_total",
        Kind.COUNTER,
        "I/O sessions that were opened.",
        lambda source: source.parts.sessions.opened,
    ),
    Metric(
        "wharfside_session_bytes_total",
        Kind.COUNTER,
        "What sessions carried: `down` to their peers, `up` from them.",
        lambda source: dict(zip(("down", "up"), source.parts.sessions.carried_bytes, strict=True)),
        ("direction",),
    ),
)
