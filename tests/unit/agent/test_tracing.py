"""Traces that are switched off by OpenTelemetry's own variable are off, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest

from wharfside_agent import spans
from wharfside_agent.composition.tracing import OFF, start_tracing
from wharfside_agent.ports.tracer import SpanKind
from wharfside_agent.settings import Settings, TraceSettings
from wharfside_agent.store.opening import open_store


async def test_the_variable_that_turns_the_sdk_off_leaves_commands_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK would hand out spans without a context, and every command would end with them."""
    monkeypatch.setenv(OFF, "true")
    settings = Settings(traces=TraceSettings(endpoint="http://127.0.0.1:9/v1/traces"))
    store = open_store(tmp_path / "store.sqlite", "n1", "boot", 0)
    try:
        end = start_tracing(settings, store.identity)
        try:
            with spans.root("command ping", SpanKind.SERVER, {}) as span:
                assert span.traceparent is None
        finally:
            if end is not None:
                await end()
    finally:
        await store.close()
