"""One metric: its name, what it means, and where it is read. Names as Prometheus wants them:
base units, `_total` for what only rises (prometheus.io/docs/practices/naming)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from wharfside_agent.core.figures import Histogram

S = TypeVar("S")


class Kind(StrEnum):
    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


Value = float | Histogram
Reading = (
    Value
    | Mapping[str, Value]
    | Mapping[tuple[str, str], Value]
    | Mapping[tuple[str, str, str], Value]
)
"""One value, or one for each set of label values (in the order of `labels`)."""


@dataclass(frozen=True, slots=True)
class Metric(Generic[S]):
    """`read` is called on the loop at each scrape: it looks at what is there, and never waits.

    The values of `labels` come from closed sets: never a container's name, nor a caller's.
    """

    name: str
    kind: Kind
    help: str
    read: Callable[[S], Reading]
    labels: tuple[str, ...] = ()


def values(metric: Metric[S], source: S) -> list[tuple[tuple[str, ...], Value]]:
    """What `metric` reads now, by label values; a copy, for another thread to write out."""
    read = metric.read(source)
    if not isinstance(read, Mapping):
        return [((), _kept(read))]
    return [((key,) if isinstance(key, str) else key, _kept(value)) for key, value in read.items()]


def _kept(value: Value) -> Value:
    return value.copy() if isinstance(value, Histogram) else value
