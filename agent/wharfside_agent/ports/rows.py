"""What the store keeps: one record a row, read and written whole."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from wharfside_agent.core.actors import Actor
from wharfside_agent.core.journal import Step
from wharfside_agent.core.migration import Source, Target
from wharfside_agent.core.policy.limits import Amounts
from wharfside_agent.core.policy.rules import EVERYBODY
from wharfside_protocol.checkpoints import CheckpointFlags
from wharfside_protocol.commands import Output
from wharfside_protocol.errors import ErrorBody
from wharfside_protocol.event_facts import WhyNotRestarting
from wharfside_protocol.events import EventType
from wharfside_protocol.exits import ExitStatus
from wharfside_protocol.specs import ContainerSpec, Limits, ProcessSpec
from wharfside_protocol.states import ContainerState, ProcessState
from wharfside_protocol.views import RestoredFrom


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
    rule: str | None = None


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
