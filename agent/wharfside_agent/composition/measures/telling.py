"""What is told on the bus: the outbox, what became of its events, the connection."""

from __future__ import annotations

from collections.abc import Mapping

from wharfside_agent.composition.measures.sources import Sources
from wharfside_agent.metrics.metric import Kind, Metric
from wharfside_protocol.times import NANOSECONDS


def _oldest_age(source: Sources) -> float:
    oldest = source.parts.publisher.oldest()
    return 0.0 if oldest is None else max(0, source.parts.clock.now() - oldest) / NANOSECONDS


def _retries(source: Sources) -> Mapping[str, float]:
    parts = source.parts
    return {
        "events": parts.publisher.retries,
        "reports": parts.reporter.retries,
        "logs": parts.shipping.retries,
    }


TELLING: tuple[Metric[Sources], ...] = (
    Metric(
        "wharfside_outbox_events",
        Kind.GAUGE,
        "Events that wait for the bus.",
        lambda source: source.parts.store.room.waiting,
    ),
    Metric(
        "wharfside_outbox_limit",
        Kind.GAUGE,
        "As many as may wait (outbox.max_events).",
        lambda source: source.parts.settings.outbox.max_events,
    ),
    Metric(
        "wharfside_outbox_oldest_age_seconds",
        Kind.GAUGE,
        "How long the oldest of them has waited; 0 where none waits.",
        _oldest_age,
    ),
    Metric(
        "wharfside_outbox_dropping",
        Kind.GAUGE,
        "1 while new events are dropped, but ends never.",
        lambda source: float(source.parts.store.room.dropping),
    ),
    Metric(
        "wharfside_events_published_total",
        Kind.COUNTER,
        "Events that the stream has taken.",
        lambda source: source.parts.publisher.published,
    ),
    Metric(
        "wharfside_events_found_stored_total",
        Kind.COUNTER,
        "Those of them that it had by an earlier try, whose PubAck was lost.",
        lambda source: source.parts.publisher.found_stored,
    ),
    Metric(
        "wharfside_publish_duplicates_total",
        Kind.COUNTER,
        "Messages of any kind that a stream knew by their id.",
        lambda source: source.parts.bus.duplicates,
    ),
    Metric(
        "wharfside_publish_retries_total",
        Kind.COUNTER,
        "Tries that a stream did not take, by what was to be told.",
        _retries,
        ("what",),
    ),
    Metric(
        "wharfside_shipped_log_bytes_total",
        Kind.COUNTER,
        "Bytes of processes' logs that were sent into WHARFSIDE_LOGS.",
        lambda source: source.parts.shipping.shipped_bytes,
    ),
    Metric(
        "wharfside_bus_reconnects_total",
        Kind.COUNTER,
        "New connections after the first.",
        lambda source: source.parts.bus.view().reconnects,
    ),
    Metric(
        "wharfside_bus_slow_consumer_messages_total",
        Kind.COUNTER,
        "Messages that the agent could not take in time.",
        lambda source: source.parts.bus.view().slow_consumers,
    ),
)
