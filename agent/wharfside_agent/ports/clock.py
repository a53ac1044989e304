"""Time, so that tests can hold it."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Nanoseconds."""

    def now(self) -> int:
        """Since the Unix epoch, by the node's clock."""
        ...

    def boottime(self) -> int:
        """CLOCK_BOOTTIME: never steps back, runs on while suspended."""
        ...
