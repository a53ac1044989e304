"""RFC 3339 UTC timestamps with nanoseconds: the only form of time on the wire."""

from __future__ import annotations

import re
import time
from datetime import datetime
from functools import lru_cache

from wharfside_protocol.errors import Invalid
from wharfside_protocol.records import TIMESTAMP_PATTERN

NANOSECONDS = 1_000_000_000
_SHAPE = re.compile(TIMESTAMP_PATTERN)
_SECONDS_LENGTH = len("2026-01-01T00:00:00")
_EPOCH = datetime(1970, 1, 1)


def to_timestamp(nanoseconds: int) -> str:
    """`nanoseconds` since the Unix epoch as `2026-01-31T09:00:00.123456789Z`."""
    seconds, rest = divmod(nanoseconds, NANOSECONDS)
    return f"{_seconds(seconds)}.{rest:09d}Z"


@lru_cache(maxsize=64)
def _seconds(seconds: int) -> str:
    """Kept: nearly all timestamps that are written together are of one second."""
    broken = time.gmtime(seconds)
    return (
        f"{broken.tm_year:04d}-{broken.tm_mon:02d}-{broken.tm_mday:02d}"
        f"T{broken.tm_hour:02d}:{broken.tm_min:02d}:{broken.tm_sec:02d}"
    )


def from_timestamp(text: str) -> int:
    """Nanoseconds since the Unix epoch.

    Raises:
        Invalid: not an RFC 3339 UTC time, or one that no calendar has. Leap seconds
            are refused too: neither Unix time nor Go nor JavaScript can hold one.
    """
    if not _SHAPE.search(text):
        raise Invalid(f"not an RFC 3339 UTC time: {text!r}; write 2026-01-31T09:00:00Z")
    fraction = text[_SECONDS_LENGTH + 1 : -1].ljust(9, "0")
    return _since_epoch(text[:_SECONDS_LENGTH]) * NANOSECONDS + int(fraction)


@lru_cache(maxsize=64)
def _since_epoch(text: str) -> int:
    """Seconds; kept, as `_seconds`."""
    try:
        since = datetime.fromisoformat(text) - _EPOCH
    except ValueError as error:
        raise Invalid(f"no such time: {text!r} ({error})") from error
    return since.days * 86_400 + since.seconds
