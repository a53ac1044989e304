"""Sizes, ages and states in few words: pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wharfside_protocol.exits import ExitStatus
    from wharfside_protocol.views import ContainerProjection, ContainerView


def size(count: int | None) -> str:
    """`1.5M`, of 1024."""
    if count is None:
        return "-"
    value, units = float(count), iter("BKMGTP")
    unit = next(units)
    while value >= 1024 and unit != "P":
        value, unit = value / 1024, next(units)
    return f"{value:.0f}{unit}" if value >= 10 or unit == "B" else f"{value:.1f}{unit}"


def span(seconds: float) -> str:
    """`12s`, `3m`, `5h`, `2d`; below a second in `ms`."""
    if seconds < 1:
        return f"{max(seconds, 0) * 1000:.0f}ms"
    for length, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= 2 * length:
            return f"{seconds // length:.0f}{unit}"
    return f"{seconds:.0f}s"


def age(timestamp: str | None, now_ns: int) -> str:
    """How long ago; `-` where it is not known."""
    from wharfside_protocol.times import NANOSECONDS, from_timestamp

    if timestamp is None:
        return "-"
    return span(max(0, now_ns - from_timestamp(timestamp)) / NANOSECONDS)


def state_words(view: ContainerView | ContainerProjection) -> str:
    """Its state, or what it is about: `stopping`, `restarting`."""
    if view.stopping:
        return "stopping"
    return "restarting" if view.restart_at else str(view.state)


def exit_words(status: ExitStatus | None) -> str:
    """`3`, `137 (oom)`, `? (monitor-lost)`; `-` where nothing has ended."""
    if status is None:
        return "-"
    code = "?" if status.exit_code is None else str(status.exit_code)
    return code if status.reason == "self" else f"{code} ({status.reason})"
