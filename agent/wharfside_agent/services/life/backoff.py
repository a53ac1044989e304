"""A restart that is due, and its end before it came to be."""

from __future__ import annotations

from typing import Any

import msgspec

from wharfside_agent.ports.rows import ContainerRow, EventDraft
from wharfside_agent.services.life.containers import Containers
from wharfside_protocol.event_facts import NotRestarting
from wharfside_protocol.event_facts import WhyNotRestarting as Why
from wharfside_protocol.events import EventType
from wharfside_protocol.states import ContainerState


def waits_for_restart(row: ContainerRow) -> bool:
    """It is stopped, and its policy is about to start it again."""
    due = row.restart is not None and row.restart.due_at is not None
    return due and row.state is ContainerState.STOPPED


def backoff_ended(
    containers: Containers, row: ContainerRow, why: Why, cause: str | None
) -> tuple[list[EventDraft], dict[str, Any]]:
    """What a commit that ends the wait must tell and change; nothing where none waits."""
    if row.restart is None or not waits_for_restart(row):
        return [], {}
    draft = containers.draft(row, EventType.NOT_RESTARTING, NotRestarting(why=why), cause=cause)
    rests = msgspec.structs.replace(row.restart, due_at=None)
    return [draft], {"held": why, "restart": rests}
