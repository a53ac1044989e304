"""Events: the envelope, and the closed set of types; `event_facts` has what each carries."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from wharfside_protocol import PROTOCOL_VERSION
from wharfside_protocol.records import Counter, Incarnation, Labels, Name, Record, Timestamp


class EventType(StrEnum):
    """The closed set; those whose feature comes later are named already, once and for all."""

    CREATE_FAILED = "create-failed"
    CREATED = "created"
    STARTED = "started"
    START_FAILED = "start-failed"
    EXEC_ADDED = "exec-added"
    EXEC_STARTED = "exec-started"
    EXITED = "exited"
    OOM = "oom"
    PAUSED = "paused"
    RESUMED = "resumed"
    UPDATED = "updated"
    SIGNALED = "signaled"
    STOPPING = "stopping"
    CHECKPOINTED = "checkpointed"
    CHECKPOINT_FAILED = "checkpoint-failed"
    RESTORED = "restored"
    RESTARTING = "restarting"
    NOT_RESTARTING = "not-restarting"
    DELETED = "deleted"
    ATTACHED = "attached"
    DETACHED = "detached"
    LOG_LOST = "log-lost"
    MONITOR_LOST = "monitor-lost"
    REATTACHED = "reattached"
    REATTACH_FAILED = "reattach-failed"
    PRESSURE = "pressure"
    EVENT_MISSED = "event-missed"
    AUDIT = "audit"
    UP = "up"
    DRAINING = "draining"
    DOWN = "down"
    SNAPSHOT = "snapshot"
    CREDENTIALS_EXPIRING = "credentials-expiring"
    EVENTS_DROPPED = "events-dropped"


TERMINAL_TYPES = frozenset(
    {
        EventType.CREATE_FAILED,
        EventType.START_FAILED,
        EventType.EXITED,
        EventType.OOM,
        EventType.DELETED,
        EventType.MONITOR_LOST,
    }
)
"""What a full outbox never drops."""


class Event(Record, frozen=True, kw_only=True):
    """One event. `data` holds the facts of its type: see the table of events.

    `seq` is gapless per node and epoch, `prev_seq` is the one before of the same
    container. `replayed` marks what was told again after a restart or reconnect.
    """

    event_id: str
    v: int = PROTOCOL_VERSION
    node: Name
    node_id: str
    boot_id: str
    epoch: Counter
    seq: Counter
    prev_seq: Counter | None = None
    container: Name | None = None
    incarnation: Incarnation | None = None
    run: Counter | None = None
    revision: Counter | None = None
    process: Name | None = None
    type: EventType
    occurred_at: Timestamp
    observed_at: Timestamp
    published_at: Timestamp | None = None
    replayed: bool = False
    labels: Labels = {}
    cause: str | None = None
    data: dict[str, Any] = {}
