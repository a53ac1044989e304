"""What a migration came to, in the words of the command that asked for it."""

from __future__ import annotations

from typing import Any

from wharfside_agent.ports.rows import Departure
from wharfside_protocol.errors import Canceled, from_body
from wharfside_protocol.migration import MigrateValue


def value_of(row: Departure, standing: dict[str, Any]) -> MigrateValue:
    """Of one that is `GONE`."""
    still_us = max(0, (row.back_at or 0) - (row.frozen_at or row.back_at or 0)) // 1000
    return MigrateValue(
        **standing,
        migration=row.id,
        target=row.target,
        name=row.name,
        restored=row.restored or "",
        restored_run=row.restored_run,
        bytes=row.bytes,
        stood_still_us=still_us,
    )


def failure_of(row: Departure) -> Exception:
    """Of one that is over, and not `GONE`: why, and where the container is."""
    if row.failure is None:
        error: Any = Canceled("the migration came to nothing", stage="running")
    else:
        error = from_body(row.failure)
    error.details = {**error.details, "migration": row.id, "outcome": str(row.state)}
    return error  # type: ignore[no-any-return]
