"""What an asset should be against what the server has: pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

STREAM_DEFAULTS: Mapping[str, Any] = {
    "max_msgs": -1,
    "max_bytes": -1,
    "max_age": 0,
    "max_msg_size": -1,
    "max_msgs_per_subject": -1,
    "max_consumers": -1,
    "discard": "old",
    "discard_new_per_subject": False,
    "no_ack": False,
    "sealed": False,
    "deny_delete": False,
    "deny_purge": False,
    "allow_direct": False,
    "allow_rollup_hdrs": False,
    "allow_msg_ttl": False,
    "republish": None,
    "subject_transform": None,
    "mirror": None,
    "sources": None,
}
"""What stands for a setting that `assets` leaves out. A limit that somebody added
loses events as surely as a wrong one; description, placement and compression are free."""


def desired_stream(config: Mapping[str, Any]) -> dict[str, Any]:
    """Every setting of a stream that is ours to keep."""
    return {**STREAM_DEFAULTS, **config}


def differences(desired: Mapping[str, Any], actual: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of `desired` that the server has otherwise, with the value it should have."""
    return {key: value for key, value in desired.items() if not _same(key, value, actual.get(key))}


def _same(key: str, wanted: Any, found: Any) -> bool:
    if key == "subjects":
        return sorted(wanted or []) == sorted(found or [])
    # the server leaves out what is empty, off or zero
    return wanted == found or (not wanted and not found)
