"""What the SDK says by Python's logging, as lines of the agent's own log; not a flood of them."""

from __future__ import annotations

import logging
import time

import structlog

log = structlog.get_logger(__name__)

EVERY_S = 60.0
"""A collector that is away is told so often: the SDK would say it at every try."""


class SdkWords(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._told_at = -EVERY_S

    def emit(self, record: logging.LogRecord) -> None:
        now = time.monotonic()
        if now - self._told_at >= EVERY_S:
            self._told_at = now
            log.warning("traces-not-sent", says=record.getMessage())


def pass_words_on() -> None:
    """Once a process."""
    sdk = logging.getLogger("opentelemetry")
    sdk.addHandler(SdkWords())
    sdk.propagate = False
