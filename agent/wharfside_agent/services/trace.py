"""The trace that a command belongs to, in and out of headers (`traceparent`, W3C Trace Context).

Inside it travels with the task (spans.py): what a command does, and the watches that it
starts, tell their events under its trace, without a parameter through every call.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from wharfside_agent.spans import current

HEADER = "traceparent"
_SHAPE = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def enter_trace(headers: Mapping[str, str]) -> None:
    """The current task, and those that it starts, belong to the trace in `headers`, if any.

    What is not a traceparent is left out: it would go into the headers of events.
    """
    current.set(traceparent(headers))


def traceparent(headers: Mapping[str, str]) -> str | None:
    found = headers.get(HEADER, "")
    return found if _SHAPE.fullmatch(found) else None


def current_trace() -> str | None:
    return current.get()
