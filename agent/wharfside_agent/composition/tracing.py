"""Traces, where the settings want them: OpenTelemetry is imported then, and only then."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable

import structlog

from wharfside_agent.errors import StartError
from wharfside_agent.ports.store import Identity
from wharfside_agent.settings import Settings
from wharfside_agent.spans import trace_by
from wharfside_protocol import __version__

log = structlog.get_logger(__name__)

OFF = "OTEL_SDK_DISABLED"
"""OpenTelemetry's own switch (its SDK's environment variables): the spans that it gives then have
no context that could be handed on."""


def start_tracing(settings: Settings, identity: Identity) -> Callable[[], Awaitable[None]] | None:
    """What ends it again; None: it is off.

    Raises:
        StartError: it is wanted, and OpenTelemetry is not installed.
    """
    if settings.traces.endpoint is None:
        return None
    if os.environ.get(OFF, "").lower() == "true":
        log.warning("traces-off", because=f"{OFF}=true")
        return None
    try:
        from wharfside_agent.otel.tracer import exporting_tracer
    except ImportError as error:
        raise StartError(
            f"traces.endpoint is set, but OpenTelemetry is not here ({error}): "
            "pip install 'wharfside[otel]', or leave it out"
        ) from error
    about = {
        "service.name": "wharfside-agent",
        "service.version": __version__,
        "service.instance.id": identity.node_id,
        "wharfside.node": identity.node,
    }
    tracer = exporting_tracer(settings.traces.endpoint, settings.traces.sample, __version__, about)
    trace_by(tracer)

    async def end() -> None:
        trace_by(None)
        await tracer.close()

    return end
