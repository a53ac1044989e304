"""Every query that deploy/ ships, and what it names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prometheus_client.metrics_core import Metric as Family

DEPLOY = Path(__file__).parents[3] / "deploy"
DASHBOARD = DEPLOY / "grafana" / "dashboards" / "wharfside.json"
PROMETHEUS = DEPLOY / "prometheus"
ALERTS = PROMETHEUS / "alerts.yml"

VARIABLES = {"$instance": ".*", "$__rate_interval": "1m", "$datasource": "prometheus"}

TARGETS_OWN = {"job", "instance"}
"""Labels that Prometheus gives to what it scrapes; `le` is a bucket's bound."""

_NAME = re.compile(r"\b(?:wharfside|process)_[a-z_]+\b")
_SELECTOR = re.compile(r"\b((?:wharfside|process)_[a-z_]+)\{([^}]*)\}")
_GROUPED = re.compile(r"\b(?:by|on|group_left)\s*\(([^)]*)\)")
_STRINGS = re.compile(r'"[^"]*"')


def dashboard() -> dict[str, Any]:
    return dict(json.loads(DASHBOARD.read_text()))


def panel_queries() -> list[tuple[str, str]]:
    """Title and expression as Grafana would send it, of each target of each panel."""
    return [
        (panel["title"], _filled_in(target["expr"]))
        for panel in dashboard()["panels"]
        for target in panel.get("targets", [])
    ]


def alert_queries() -> list[tuple[str, str]]:
    """Name and expression of each rule."""
    return re.findall(r"- alert: (\w+)\n\s+expr: (.*)\n", ALERTS.read_text())


def _filled_in(expression: str) -> str:
    for variable, value in VARIABLES.items():
        expression = expression.replace(variable, value)
    return expression


def unknown_to(scraped: dict[str, Family], expression: str) -> Iterator[str]:
    """What `expression` names, and a scrape does not have: metrics, and labels of them."""
    bare = _STRINGS.sub('""', expression)
    for name in set(_NAME.findall(bare)):
        if _family(scraped, name) is None:
            yield name
    for name, selector in _SELECTOR.findall(bare):
        labels = {part.partition("=")[0].rstrip("!") for part in selector.split(",") if part}
        yield from (f"{name}{{{label}}}" for label in labels - _labels(scraped, name))
    names = set(_NAME.findall(bare))
    grouped = {each.strip() for group in _GROUPED.findall(bare) for each in group.split(",")}
    known = TARGETS_OWN.union(*(_labels(scraped, name) for name in names))
    yield from (f"by ({label})" for label in grouped - known - {""})


def _family(scraped: dict[str, Family], name: str) -> Family | None:
    stem = re.sub(r"_(bucket|count|sum)$", "", name)
    return scraped.get(name) or scraped.get(stem)


def _labels(scraped: dict[str, Family], name: str) -> set[str]:
    family = _family(scraped, name)
    samples = [] if family is None else family.samples
    return TARGETS_OWN.union(*(sample.labels for sample in samples))
