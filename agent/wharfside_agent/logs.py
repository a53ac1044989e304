"""Structured logs on stderr: JSON lines for machines, readable ones on a terminal."""

from __future__ import annotations

import logging
import sys

import structlog

from wharfside_agent.settings import LogSettings


def configure_logs(settings: LogSettings) -> None:
    """Sets structlog up for the process; call it once, first."""
    for_people = settings.format == "text" or (settings.format == "auto" and sys.stderr.isatty())
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if for_people else structlog.processors.JSONRenderer()
    )
    tail: list[structlog.typing.Processor] = (
        [renderer] if for_people else [structlog.processors.dict_tracebacks, renderer]
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            *tail,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[settings.level.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
