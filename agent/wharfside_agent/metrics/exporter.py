"""The page that Prometheus reads: taken on the loop in one go, written in a thread.

What is taken is a copy of numbers (0.2 ms); to write it out takes some milliseconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import accumulate
from typing import Generic

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from wharfside_agent.core.figures import Histogram
from wharfside_agent.metrics.metric import Kind, Metric, S, Value, values

Taken = list[tuple[tuple[str, ...], Value]]


class Exporter(Generic[S]):
    """`source` brings what `metrics` read; it may wait, for files of the kernel."""

    def __init__(self, metrics: Sequence[Metric[S]], source: Callable[[], Awaitable[S]]) -> None:
        self._metrics = metrics
        self._source = source
        self._one_at_a_time = asyncio.Lock()

    async def page(self, accept: str) -> tuple[str, bytes]:
        """The content type that `accept` (a request's header) chooses, and the page in it."""
        async with self._one_at_a_time:
            source = await self._source()
            taken = [(metric, values(metric, source)) for metric in self._metrics]
            return await asyncio.to_thread(_written, taken, accept)


def _written(taken: list[tuple[Metric[S], Taken]], accept: str) -> tuple[str, bytes]:
    """A registry of its own for each page: nothing is shared between two of them."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(_Page(_family(metric, values) for metric, values in taken))
    encoder, content_type = choose_encoder(accept)
    return content_type, encoder(registry)


class _Page(Collector):
    def __init__(self, families: Iterable[Family]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[Family]:
        return self._families


def _family(metric: Metric[S], taken: Taken) -> Family:
    match metric.kind:
        case Kind.HISTOGRAM:
            histogram = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
            for labels, value in taken:
                assert isinstance(value, Histogram)
                histogram.add_metric(labels, _buckets(value), value.total)
            return histogram
        case Kind.COUNTER:
            counter = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
            for labels, value in taken:
                assert not isinstance(value, Histogram)
                counter.add_metric(labels, value)
            return counter
        case Kind.GAUGE:
            gauge = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
            for labels, value in taken:
                assert not isinstance(value, Histogram)
                gauge.add_metric(labels, value)
            return gauge


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    """Each bound with all that is not above it."""
    bounds = [str(float(bound)) for bound in histogram.bounds] + ["+Inf"]
    return list(zip(bounds, accumulate(histogram.counts), strict=True))
