"""What an agent's log says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def advice(logs: Sequence[Mapping[str, Any]]) -> str:
    """What one should do about the bus; empty as long as it does not say."""
    found = [entry for entry in logs if entry.get("event") == "bus-unreachable"]
    return str(found[-1].get("advice", "")) if found else ""
