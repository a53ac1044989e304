"""The agent's metrics follow Prometheus's conventions (docs/practices/naming, instrumentation)."""

from __future__ import annotations

import re

import pytest

from wharfside_agent.composition.measures import METRICS
from wharfside_agent.composition.measures.sources import Sources
from wharfside_agent.metrics.metric import Kind, Metric

UNBOUNDED = {"container", "process_id", "peer", "session", "actor", "command", "id"}


def test_each_name_stands_once() -> None:
    names = [metric.name for metric in METRICS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_name_says_what_it_counts_in_base_units(metric: Metric[Sources]) -> None:
    assert re.fullmatch(r"wharfside_[a-z]+(_[a-z]+)*", metric.name)
    assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
    assert not re.search(r"_(ms|us|ns|millis|minutes|mib|kib|percent)(_|$)", metric.name)
    if metric.kind is Kind.HISTOGRAM:
        assert metric.name.endswith("_seconds")


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_it_is_explained_and_no_label_is_unbounded(metric: Metric[Sources]) -> None:
    assert metric.help.endswith(".") and "\n" not in metric.help
    assert not UNBOUNDED & set(metric.labels)
    assert "le" not in metric.labels
