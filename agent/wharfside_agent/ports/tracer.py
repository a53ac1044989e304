"""What the agent needs of a tracer: spans that know their parent by its `traceparent`."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol

Attributes = Mapping[str, str | int | float | bool | list[str]]


class SpanKind(StrEnum):
    """OpenTelemetry's: what a span is in the way of a message."""

    INTERNAL = "internal"
    SERVER = "server"
    CONSUMER = "consumer"
    PRODUCER = "producer"


class OpenSpan(Protocol):
    @property
    def traceparent(self) -> str:
        """By which others become its children (W3C Trace Context)."""
        ...

    def fail(self, why: str) -> None:
        """What it stands for went wrong."""
        ...

    def end(self) -> None: ...


class Tracer(Protocol):
    def begin(
        self, name: str, parent: str | None, kind: SpanKind, attributes: Attributes
    ) -> OpenSpan:
        """A span below `parent`, a traceparent; None: it begins a trace. Never waits or raises."""
        ...
