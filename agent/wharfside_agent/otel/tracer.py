"""ports.tracer.Tracer on OpenTelemetry's SDK, exported by OTLP over HTTP in a thread of its own.

The SDK keeps at most 2048 spans that wait and drops what is beyond: a collector that is away
costs spans, never time of the loop. Its OTEL_* variables (headers, certificates, batches) hold.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Mapping

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from wharfside_agent.otel.words import pass_words_on
from wharfside_agent.ports.tracer import Attributes
from wharfside_agent.ports.tracer import SpanKind as Kind

log = structlog.get_logger(__name__)

LAST_WORDS_S = 2.0
"""On the way down spans get so long to be sent."""

EXPORT_S = 5.0

_HEADER = "traceparent"
_KINDS = {kind: SpanKind[kind.name] for kind in Kind}
_propagator = TraceContextTextMapPropagator()


class OtelSpan:
    """See ports.tracer.OpenSpan."""

    def __init__(self, span: Span) -> None:
        self._span = span
        carrier: dict[str, str] = {}
        _propagator.inject(carrier, set_span_in_context(span, Context()))
        self.traceparent = carrier[_HEADER]

    def fail(self, why: str) -> None:
        self._span.set_attribute("error.type", why)
        self._span.set_status(Status(StatusCode.ERROR))

    def end(self) -> None:
        self._span.end()


class OtelTracer:
    """See ports.tracer.Tracer. What came with a parent is sampled as that was, else by `sample`."""

    def __init__(self, provider: TracerProvider, version: str) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("wharfside", version)

    def begin(self, name: str, parent: str | None, kind: Kind, attributes: Attributes) -> OtelSpan:
        carrier = {} if parent is None else {_HEADER: parent}
        above = _propagator.extract(carrier, Context())
        span = self._tracer.start_span(name, above, _KINDS[kind], dict(attributes))
        return OtelSpan(span)

    async def close(self) -> None:
        """Sends what waits, bounded.

        In a daemon thread, and none of the loop's pool: that one would be waited for at the end.
        """
        loop = asyncio.get_running_loop()
        sent = asyncio.Event()

        def send() -> None:
            self._provider.shutdown()
            with contextlib.suppress(RuntimeError):  # the loop is over
                loop.call_soon_threadsafe(sent.set)

        threading.Thread(target=send, name="last spans", daemon=True).start()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(sent.wait(), LAST_WORDS_S)


def exporting_tracer(
    endpoint: str, sample: float, version: str, about: Mapping[str, str]
) -> OtelTracer:
    """Exports to `endpoint` (`http://collector:4318/v1/traces`); `about` names the service."""
    pass_words_on()
    provider = TracerProvider(
        sampler=ParentBasedTraceIdRatio(sample),
        resource=Resource.create(dict(about)),
        shutdown_on_exit=False,
    )
    exporter = OTLPSpanExporter(endpoint=endpoint, timeout=EXPORT_S)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    log.info("traces-exported", endpoint=endpoint, sample=sample)
    return OtelTracer(provider, version)
