"""Structured logs on stderr: JSON lines for machines, readable ones on a terminal."""

from __future__ import annotations

import logging
import sys

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from wharfside_agent.log_floods import Floods
from wharfside_agent.settings import LogSettings

_processors: list[Processor] = []
"""One list for ever: loggers that are made keep it, so what it holds can change under them."""

_floods = Floods()
"""The same over a reload."""


def configure_logs(settings: LogSettings) -> None:
    """Sets structlog up for the process, or changes it: call it first."""
    for_people = settings.format == "text" or (settings.format == "auto" and sys.stderr.isatty())
    renderer: Processor = (
        structlog.dev.ConsoleRenderer() if for_people else structlog.processors.JSONRenderer()
    )
    tail = [renderer] if for_people else [structlog.processors.dict_tracebacks, renderer]
    _processors[:] = [
        _from(settings.level),
        _floods,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        *tail,
    ]
    structlog.configure(
        processors=_processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def _from(level: str) -> Processor:
    """Drops what is below `level`: the wrapper's own filter could not be changed any more."""
    levels = logging.getLevelNamesMapping()
    least = levels[level.upper()]

    def drop_below(_logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        if levels.get(method.upper(), logging.ERROR) < least:
            raise structlog.DropEvent
        return event

    return drop_below
