"""What the agent remembers across its own death, and the one way to change it.

A change is a plain function of a transaction. It runs on the writer's thread with
others in one commit: it must not wait, and must not touch the loop. An event and
the state change that it tells are one such function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Protocol, TypeVar

import msgspec

from wharfside_agent.core.actors import Actor
from wharfside_agent.core.figures import Histogram
from wharfside_agent.core.journal import Step
from wharfside_agent.core.migration import Source, Target
from wharfside_agent.core.policy.limits import Amounts
from wharfside_agent.core.policy.rules import EVERYBODY
from wharfside_protocol.checkpoints import CheckpointFlags
from wharfside_protocol.commands import Output
from wharfside_protocol.errors import ErrorBody
from wharfside_protocol.events import EventType, WhyNotRestarting
from wharfside_protocol.exits import ExitStatus
from wharfside_protocol.specs import ContainerSpec, Limits, ProcessSpec
from wharfside_protocol.states import ContainerState, ProcessState
from wharfside_protocol.views import RestoredFrom

T = TypeVar("T")


class Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Times in rows are nanoseconds since the epoch."""


class RestartRow(Row, frozen=True, kw_only=True):
    """Where the restart policy stands. Gone with the next start by command.

    `run` is the one whose end was decided on; `due_at` when the next one starts (None:
    it rests), `delay_s` how long that was from the decision. The rest is core's Tally.
    """

    run: int
    attempts: int = 0
    streak: int = 0
    due_at: int | None = None
    delay_s: float = 0.0


class ContainerRow(Row, frozen=True, kw_only=True):
    """One incarnation; pid, times and exit are those of its present run.

    `end_asked` is why its end was asked for (`stop`, `kill`); `held` why no policy starts
    it again until somebody does; `forgotten_run` is the run of which it was told that the
    runtime forgot it. `restored_from`: the checkpoint that the incarnation began as. `moving`:
    the migration that takes it to another node. `rules` names those of the node's policy that let
    it in; `limits` are those in force, a bundle's own included (None: an older agent wrote it).
    """

    name: str
    incarnation: str
    run: int
    revision: int
    state: ContainerState
    spec: ContainerSpec
    runtime: str
    bundle: str
    cgroup: str
    created_at: int
    started_at: int | None = None
    deleted_at: int | None = None
    pid: int | None = None
    end_asked: str | None = None
    oom_kills: int = 0
    exit: ExitStatus | None = None
    held: WhyNotRestarting | None = None
    restart: RestartRow | None = None
    forgotten_run: int | None = None
    restored_from: RestoredFrom | None = None
    moving: str | None = None
    rules: str = EVERYBODY
    limits: Amounts | None = None


class ProcessRow(Row, frozen=True, kw_only=True):
    """One process of one run, with what is needed to find it again.

    `limit_s` is how long an exec may run; `output` is the head of what an auto-removed
    container's init printed. `monitor_lost`: that was told.
    """

    incarnation: str
    run: int
    process: str
    state: ProcessState
    spec: ProcessSpec | None = None
    pid: int | None = None
    start_time: int | None = None
    monitor_pid: int | None = None
    monitor_start_time: int | None = None
    started_at: int | None = None
    limit_s: float | None = None
    end_asked: str | None = None
    exit: ExitStatus | None = None
    output: Output | None = None
    monitor_lost: bool = False


class Intent(Row, frozen=True, kw_only=True):
    """Work on an incarnation that was begun and is neither finished nor undone.

    `signal` and `grace_s` are those of a stop, `limits` those of an update; `checkpoint` is the
    name of the one that is taken, with its `flags`, `folder` where its draft is; `restored_from`
    what is restored.
    """

    incarnation: str
    op: str
    step: Step
    begun_at: int | None = None
    command: str | None = None
    process: str | None = None
    signal: int | None = None
    grace_s: float | None = None
    limits: Limits | None = None
    checkpoint: str | None = None
    flags: CheckpointFlags | None = None
    folder: str | None = None
    restored_from: RestoredFrom | None = None


class Departure(Row, frozen=True, kw_only=True):
    """A migration on its source; `state` is core.migration.Source.

    `target_id`: the node_id that answered `receive`; words of another are not heard. `token`: of
    the last Carried. `over_at`: when it may be forgotten from. `failure`: why it came to nothing.
    """

    id: str
    state: Source
    container: str
    incarnation: str
    run: int
    checkpoint: str
    target: str
    target_id: str
    name: str
    begun_at: int
    flags: CheckpointFlags
    command: str | None = None
    token: str = ""
    bytes: int = 0
    deadline: str | None = None
    frozen_at: int | None = None
    back_at: int | None = None
    restored: str | None = None
    restored_run: int = 0
    failure: ErrorBody | None = None
    over_at: int | None = None


class Arrival(Row, frozen=True, kw_only=True):
    """A migration on its target; `state` is core.migration.Target.

    `image`: incarnation and name of the checkpoint, once it is whole. `rules` and `limits`: as in
    ContainerRow, of whoever announced it.
    """

    id: str
    state: Target
    container: str
    source: str
    source_id: str
    begun_at: int
    expires_at: int
    spec: ContainerSpec | None = None
    rules: str = EVERYBODY
    limits: Amounts | None = None
    digest: str | None = None
    image: tuple[str, str] | None = None
    incarnation: str | None = None
    run: int = 0
    restore_us: int = 0
    failure: ErrorBody | None = None
    over_at: int | None = None


class CommandPhase(StrEnum):
    """`ACCEPTED`: a durable one that nothing was done for yet; a later life may begin it."""

    ACCEPTED = "accepted"
    RUNNING = "running"
    DONE = "done"


class CommandRow(Row, frozen=True, kw_only=True):
    """A changing command under its id; `result` is the encoded Result.

    `durable`: what becomes of it is told on `res`, too. `command` is the encoded Command
    as long as it waits to be begun, `trace` its traceparent; `error` the code of a result
    that is one. `actor`, `role` and `key` are who gave it; proven by `key` where there is one.
    """

    id: str
    op: str
    digest: str
    phase: CommandPhase
    received_at: int
    result: bytes | None = None
    finished_at: int | None = None
    durable: bool = False
    container: str | None = None
    command: bytes | None = None
    trace: str | None = None
    started_at: int | None = None
    error: str | None = None
    actor: str = ""
    role: str | None = None
    key: str | None = None

    @property
    def given_by(self) -> Actor:
        return Actor(self.actor, self.role, self.key is not None, self.key)


class AuditRow(Row, frozen=True, kw_only=True):
    """What one `audit` event is to tell; see AuditRecord. It waits for a second at most."""

    at: int
    op: str
    outcome: str
    actor: Actor
    container: str | None = None
    command: str | None = None


class ReportKind(StrEnum):
    ACCEPTED = "accepted"
    RESULT = "result"


class ReportRow(Row, frozen=True, kw_only=True):
    """What is to be told on `res` of a durable command, until its PubAck; `place` orders."""

    place: int = 0
    command: str
    kind: ReportKind
    payload: bytes
    trace: str | None = None


class ShipmentRow(Row, frozen=True, kw_only=True):
    """How far a process's log is shipped.

    `offset`: all before it is in the stream. `sending`: where the piece ends that may have been
    sent since, so that a later life sends the same one. `last_acked`: the sequence of the last
    message of its subject. `done`: the log is whole, and all of it is shipped.
    """

    incarnation: str
    run: int
    process: str
    offset: int = 0
    sending: int | None = None
    last_acked: int | None = None
    done: bool = False


class EventDraft(Row, frozen=True, kw_only=True):
    """An event before the store gives it its id and its place in the order."""

    type: EventType
    container: str | None = None
    incarnation: str | None = None
    run: int | None = None
    revision: int | None = None
    process: str | None = None
    occurred_at: int
    observed_at: int
    labels: dict[str, str] = {}
    cause: str | None = None
    trace: str | None = None
    data: dict[str, Any] = {}


class OutboxRow(Row, frozen=True, kw_only=True):
    """An event that waits for its PubAck; `event` is the Event in the store's own form.

    `place` orders the outbox over all epochs (a seq begins anew with each). `last_acked`
    is where the lane's subject stood in the stream when the row was written or read.
    """

    place: int
    lane: str
    event: bytes
    trace: str | None = None
    last_acked: int | None = None


class LaneRow(Row, frozen=True, kw_only=True):
    """A container's subject in the stream, and the sequence of its last message there."""

    lane: str
    last_acked: int


class Tx(Protocol):
    """One transaction."""

    def container(self, incarnation: str) -> ContainerRow | None: ...

    def last_of_name(self, name: str) -> ContainerRow | None:
        """The youngest incarnation that bears or bore `name`."""
        ...

    def containers(self) -> list[ContainerRow]:
        """All that are not deleted."""
        ...

    def names(self) -> list[str]:
        """Of all containers, and of the deleted ones that are still remembered."""
        ...

    def save_container(self, row: ContainerRow) -> None: ...

    def processes(self, incarnation: str, run: int) -> list[ProcessRow]: ...

    def save_process(self, row: ProcessRow) -> None: ...

    def retire_run(self, incarnation: str, run: int, now: int) -> None:
        """A newer run begins: the records of this one may go like those of a deleted one."""
        ...

    def intents(self) -> list[Intent]: ...

    def save_intent(self, intent: Intent) -> None: ...

    def close_intent(self, incarnation: str, op: str, process: str | None = None) -> None: ...

    def close_intents(self, incarnation: str, *, but: str | None = None) -> None:
        """All of them: a delete, or another run (`but` its own), ends what was meant before it."""
        ...

    def command(self, command_id: str) -> CommandRow | None: ...

    def save_command(self, row: CommandRow) -> None: ...

    def forget_command(self, command_id: str) -> None:
        """Nothing was done under this id: it may be used again."""
        ...

    def unfinished_commands(self) -> list[CommandRow]:
        """Those that were begun and have no result."""
        ...

    def waiting_commands(self) -> list[CommandRow]:
        """Those that were accepted and not begun, in the order of arrival."""
        ...

    def commands_before(self, place: int | None, limit: int) -> list[tuple[int, CommandRow]]:
        """A page with each one's place, the last to arrive first."""
        ...

    def report(self, row: ReportRow) -> None:
        """Puts a report into its outbox; one that waits there already stays as it is."""
        ...

    def reports(self, after_place: int, limit: int) -> list[ReportRow]: ...

    def forget_report(self, place: int) -> None:
        """Takes a report out of its outbox: it has its PubAck."""
        ...

    def audit(self, row: AuditRow) -> None:
        """Keeps what is to be told; in the transaction of what it tells."""
        ...

    def audits(self, limit: int) -> list[tuple[int, AuditRow]]:
        """What is not told yet, the oldest first, each with its place."""
        ...

    def forget_audits(self, through: int) -> None:
        """Those up to this place are told."""
        ...

    def trim_audits(self, keep: int) -> int:
        """Drops the oldest but for so many; how many."""
        ...

    def shipment(self, incarnation: str, run: int, process: str) -> ShipmentRow | None: ...

    def save_shipment(self, row: ShipmentRow) -> None: ...

    def unfinished_shipments(self) -> list[ShipmentRow]: ...

    def forget_shipments(self, incarnation: str) -> None: ...

    def append_event(self, draft: EventDraft) -> OutboxRow | None:
        """Gives the event its seq and prev_seq and puts it into the outbox.

        None: the outbox is full, and the event is dropped; `tell_dropped` will tell it.
        """
        ...

    def tell_dropped(self, now: int) -> bool:
        """Tells what was dropped, once there is room again; whether it did."""
        ...

    def outbox(self, after_place: int, limit: int) -> list[OutboxRow]: ...

    def save_lane(self, row: LaneRow) -> None: ...

    def last_seq(self, lane: str) -> int:
        """The seq of the youngest event of a lane; 0 where there is none."""
        ...

    def forget_event(self, place: int) -> None:
        """Takes an event out of the outbox: it has its PubAck."""
        ...

    def published_through(self) -> int:
        """Every seq up to this one has been stored by the stream."""
        ...

    def departures(self) -> list[Departure]: ...

    def save_departure(self, row: Departure) -> None: ...

    def arrivals(self) -> list[Arrival]: ...

    def save_arrival(self, row: Arrival) -> None: ...

    def meta(self, key: str) -> str | None: ...

    def set_meta(self, key: str, value: str) -> None: ...

    def prune(self, deleted_before: int, finished_before: int) -> int:
        """Drops terminal records and results that are too old; how many."""
        ...


class Identity(Row, frozen=True, kw_only=True):
    """Who this store belongs to, and which life of it this is.

    `moved`: its file is not the one that it was: restored, or a copy whose original may
    be alive elsewhere. `remembers_since` (ns): of commands before it may know nothing, being
    new or restored then.
    """

    node: str
    node_id: str
    boot_id: str
    epoch: int
    new_store: bool
    new_boot: bool
    moved: bool = False
    remembers_since: int = 0


class OutboxRoom(Protocol):
    """How full the outbox is."""

    @property
    def waiting(self) -> int: ...

    @property
    def dropping(self) -> bool:
        """Events are dropped, and that is not told yet."""
        ...

    @property
    def full(self) -> bool:
        """Begin nothing that will bring terminal events."""
        ...

    def takes(self, type_: EventType) -> bool:
        """Whether an event of this type would be kept now, and not dropped."""
        ...


class DiskReserve(Protocol):
    """Bytes kept back on the disk, for ends to come: `left` of `size`."""

    @property
    def size(self) -> int: ...

    @property
    def left(self) -> int: ...


class Store(Protocol):
    @property
    def identity(self) -> Identity: ...

    async def transact(self, change: Callable[[Tx], T], *, durable: bool = False) -> T:
        """Runs `change` and commits it, together with others that wait.

        With `durable` it is on the disk (fsync) when this returns.

        Raises:
            Busy: too many changes wait; as DiskFull: there is no room on the disk. Nothing
                of it was kept.
            whatever `change` raised: then nothing of it was kept.
        """
        ...

    @property
    def room(self) -> OutboxRoom: ...

    @property
    def reserve(self) -> DiskReserve: ...

    @property
    def commit_seconds(self) -> Mapping[str, Histogram]:
        """How long commits took, on the `loop`, and in the writer's `thread` (with fsync)."""
        ...

    @property
    def disk_full(self) -> bool:
        """The disk is full: finish what is under way, and begin nothing new."""
        ...

    def keep_room(self) -> bool:
        """Takes room for ends to come, once the disk has it; whether it could. In a thread."""
        ...

    def on_appended(self, tell: Callable[[Sequence[OutboxRow]], None]) -> None:
        """`tell` is called on the loop with the events of each commit, in order."""
        ...

    def on_reported(self, tell: Callable[[], None]) -> None:
        """`tell` is called on the loop after each commit with reports."""
        ...

    async def close(self) -> None: ...
