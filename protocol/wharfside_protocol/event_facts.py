"""The facts that each type of event carries in its `data`: one record a type, and the table."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import msgspec

from wharfside_protocol.checkpoints import Checkpointed, CheckpointFailed, Restored
from wharfside_protocol.codec import to_plain
from wharfside_protocol.errors import ErrorBody
from wharfside_protocol.events import EventType
from wharfside_protocol.exits import ExitStatus
from wharfside_protocol.records import Counter, Name, Record, Timestamp
from wharfside_protocol.specs import Limits
from wharfside_protocol.stats import Pressure


class NoFacts(Record, frozen=True, kw_only=True):
    """A type whose envelope says it all."""


class Failed(Record, frozen=True, kw_only=True):
    """create-failed and start-failed: the runtime's own words in `error.message`."""

    error: ErrorBody


class Created(Record, frozen=True, kw_only=True):
    bundle: str
    runtime: str
    pid: Counter | None = None


class Started(Record, frozen=True, kw_only=True):
    pid: Counter


class ExecAdded(Record, frozen=True, kw_only=True):
    args: list[str]


class Exited(ExitStatus, frozen=True, kw_only=True):
    """`execs_pending` names execs whose own exits may still follow init's."""

    execs_pending: list[Name] = []


class Oom(Record, frozen=True, kw_only=True):
    """Counters of the container's cgroup with what was added since the last event."""

    oom_kills: Counter
    oom_kills_added: Counter
    oom_events: Counter | None = None
    limit_bytes: Counter | None = None
    peak_bytes: Counter | None = None
    init_was_victim: bool | None = None


class Updated(Record, frozen=True, kw_only=True):
    limits: Limits


class Signaled(Record, frozen=True, kw_only=True):
    signal: Counter


class WhyStopping(StrEnum):
    """Who wants the end: a command, or the node itself, which has heard no server for too
    long, or is set to stop what has lost its monitor."""

    COMMAND = "command"
    DISCONNECTED = "disconnected"
    MONITOR_LOST = "monitor-lost"


class Stopping(Record, frozen=True, kw_only=True):
    """`grace_s` seconds from the signal to SIGKILL."""

    signal: Counter
    grace_s: float
    why: WhyStopping = WhyStopping.COMMAND


class Restarting(Record, frozen=True, kw_only=True):
    """The policy starts it again, in `delay_s` from now, as run `next_run`.

    `attempt` counts the policy's restarts since the last start by command.
    """

    delay_s: float
    attempt: Counter
    next_run: Counter


class WhyNotRestarting(StrEnum):
    """Why a policy rests.

    `stopped`: by command. `max-retries`: all of them are spent. `deleted`: while it waited
    for its restart. `policy`: it is content with how the run ended. `disconnected`: the node
    had heard no server for `stop_on_disconnect_s`, or cannot know for how long it had not.
    `checkpointed`: it ended by a checkpoint, and goes on from there by a `restore`.
    """

    STOPPED = "stopped"
    MAX_RETRIES = "max-retries"
    DELETED = "deleted"
    POLICY = "policy"
    DISCONNECTED = "disconnected"
    CHECKPOINTED = "checkpointed"


class NotRestarting(Record, frozen=True, kw_only=True):
    """The policy leaves it stopped, until a `start`."""

    why: WhyNotRestarting


class MonitorLost(Record, frozen=True, kw_only=True):
    """conmon died before its process: who watches now, and what that can tell."""

    pid: Counter | None = None
    watched_by: str


class Attached(Record, frozen=True, kw_only=True):
    """A session has the process's input, its terminal, or both, until its `detached`, the
    process's `exited`, or the agent's next life (`reattached`).

    `actor` is who asked for it, as the command said.
    """

    peer: Name
    session: Name
    actor: str | None = None
    stdin: bool = False
    tty: bool = False


class Detached(Record, frozen=True, kw_only=True):
    """That session is over, or another has taken its place."""

    peer: Name
    session: Name


class Reattached(Record, frozen=True, kw_only=True):
    pid: Counter


class ReattachFailed(Record, frozen=True, kw_only=True):
    message: str


class LogLost(Record, frozen=True, kw_only=True):
    """Output that was to be shipped and went before it was: `count` bytes of the log of `run`
    from `offset` on, rotated away or deleted with its container."""

    run: Counter
    offset: Counter
    count: Counter


class PressureOn(StrEnum):
    MEMORY = "memory"
    IO = "io"
    CPU = "cpu"


class PressurePhase(StrEnum):
    BEGINS = "begins"
    LASTS = "lasts"
    OVER = "over"


class UnderPressure(Record, frozen=True, kw_only=True):
    """Some task of the container stalled on `resource`: for `stalled_us` of the last `window_us`,
    which reach back to the event before of this pressure.

    It `begins`, `lasts` as long as the node tells so now and then, and is `over`; an `exited` or
    the agent's end may take the place of that. `since` is when it began. A stall on memory is
    waiting for the kernel to make room, or for what it gave up for that to be read again. `figures`
    are the kernel's own (PSI) as they are now. Of memory alone are what the container uses,
    `memory_bytes`, and its `memory_limit_bytes`: far below it the host is short, not the container.
    """

    resource: PressureOn = PressureOn.MEMORY
    phase: PressurePhase = PressurePhase.BEGINS
    since: Timestamp | None = None
    stalled_us: Counter = 0
    window_us: Counter = 0
    figures: Pressure | None = None
    memory_bytes: Counter | None = None
    memory_limit_bytes: Counter | None = None


class EventMissed(Record, frozen=True, kw_only=True):
    """A change that no event had told; it is counted, and is a bug."""

    message: str


class EventsDropped(Record, frozen=True, kw_only=True):
    """The outbox was full: from `from` to `to` no event of these types was published; the
    others (terminal ones) were. `seq` and `prev_seq` count the dropped, too. `epoch` is theirs."""

    epoch: Counter | None = None
    from_seq: Counter = msgspec.field(name="from")
    to_seq: Counter = msgspec.field(name="to")
    types: list[EventType]


class AuditRecord(Record, frozen=True, kw_only=True):
    """Who did what, and what came of it: `ok`, or the code of an error.

    `actor` is proven by `key` where it is `proven`; else both are what the command said.
    `count` commands are told by this one record, where they were denied: to the same actor, by the
    same `rule`; `op`, `container` and `command` are the first one's. Those of too many actors
    share one that names none.
    """

    at: Timestamp
    op: str
    outcome: str
    actor: str | None = None
    role: str | None = None
    proven: bool = False
    key: str | None = None
    container: str | None = None
    command: str | None = None
    rule: str | None = None
    count: Counter = 1


class Audit(Record, frozen=True, kw_only=True):
    """What was done on this node by command, and denied, since the last one. `lost`: so many
    records were given up while the outbox was full."""

    records: list[AuditRecord]
    lost: Counter = 0


class Draining(Record, frozen=True, kw_only=True):
    """The node takes no new work; an `up` with the `cause` of an undrain ends it."""

    policy: str


class Snapshot(Record, frozen=True, kw_only=True):
    """Where the node stands; every seq up to `published_through` has been stored, or is told
    as dropped. `containers` are there, and `inventory_hash` is the SHA-256 (hex) over a line
    `name incarnation run revision state\\n` of each, sorted by name."""

    published_through: Counter
    containers: Counter
    inventory_hash: str = ""


class CredentialsExpiring(Record, frozen=True, kw_only=True):
    """What lets the node in ends soon; told once as it comes within 30 days, 7 days, a day, an
    hour of its end, and once at its end (`within_s` 0). Thresholds beyond the last third of its
    life are left out. `what` is `jwt`, `certificate` or `ca`, `path` its file on the node."""

    what: str
    path: str
    expires_at: Timestamp
    within_s: Counter


EVENT_DATA: Mapping[EventType, type[Record]] = MappingProxyType(
    dict.fromkeys(EventType, NoFacts)
    | {
        EventType.CREATE_FAILED: Failed,
        EventType.START_FAILED: Failed,
        EventType.CREATED: Created,
        EventType.STARTED: Started,
        EventType.EXEC_ADDED: ExecAdded,
        EventType.EXEC_STARTED: Started,
        EventType.EXITED: Exited,
        EventType.OOM: Oom,
        EventType.UPDATED: Updated,
        EventType.SIGNALED: Signaled,
        EventType.STOPPING: Stopping,
        EventType.CHECKPOINTED: Checkpointed,
        EventType.CHECKPOINT_FAILED: CheckpointFailed,
        EventType.RESTORED: Restored,
        EventType.RESTARTING: Restarting,
        EventType.NOT_RESTARTING: NotRestarting,
        EventType.LOG_LOST: LogLost,
        EventType.MONITOR_LOST: MonitorLost,
        EventType.ATTACHED: Attached,
        EventType.DETACHED: Detached,
        EventType.REATTACHED: Reattached,
        EventType.REATTACH_FAILED: ReattachFailed,
        EventType.PRESSURE: UnderPressure,
        EventType.EVENT_MISSED: EventMissed,
        EventType.EVENTS_DROPPED: EventsDropped,
        EventType.AUDIT: Audit,
        EventType.DRAINING: Draining,
        EventType.SNAPSHOT: Snapshot,
        EventType.CREDENTIALS_EXPIRING: CredentialsExpiring,
    }
)


def facts(record: Record) -> dict[str, Any]:
    """`record` (one of EVENT_DATA) as an event's `data`."""
    plain: dict[str, Any] = to_plain(record)
    return plain
