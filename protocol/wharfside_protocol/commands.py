"""Every op: its arguments, its value, and how it is treated; a closed, visible table."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import msgspec

from wharfside_protocol.checkpoints import (
    Phase,
)
from wharfside_protocol.command_base import ContainerArgs, InspectArgs
from wharfside_protocol.envelope import Result
from wharfside_protocol.errors import ErrorBody
from wharfside_protocol.events import Snapshot
from wharfside_protocol.exits import ExitStatus
from wharfside_protocol.io_commands import (
    Opening,
    SessionView,
    TerminalSize,
)
from wharfside_protocol.records import (
    CommandId,
    Counter,
    Labels,
    Name,
    Record,
    Seconds,
    Timestamp,
)
from wharfside_protocol.specs import ContainerSpec, Io, Limits, ProcessSpec, Signal
from wharfside_protocol.states import INIT, ContainerState
from wharfside_protocol.stats import Stats, Usage
from wharfside_protocol.views import (
    ContainerView,
    ProcessView,
    Standing,
)

CAPTURE_BYTES = 64 * 1024


"""At most so much of each stream travels in a result."""


WaitSeconds = Annotated[float, msgspec.Meta(ge=0, le=60)]


class Pong(Record, frozen=True, kw_only=True):
    """`at` is the node's clock; `epoch` tells a new life of its store."""

    node: Name
    at: Timestamp
    epoch: Counter


class ListArgs(Record, frozen=True, kw_only=True):
    """All that live or wait for a restart, or with `all` also the stopped; all `labels` must match.

    `after` pages on: the last name of the page before.
    """

    all: bool = False
    labels: Labels = {}
    after: Name | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 500


class ListValue(Record, frozen=True, kw_only=True):
    """`next` is the `after` of the next page; absent on the last."""

    containers: list[ContainerView]
    next: Name | None = None


class ProcessesValue(Standing, frozen=True, kw_only=True):
    processes: list[ProcessView]


class CreateArgs(ContainerSpec, frozen=True, kw_only=True):
    container: Name


class StateValue(Standing, frozen=True, kw_only=True):
    """Where the container stands after a change."""

    state: ContainerState
    pid: Counter | None = None


class CreateValue(StateValue, frozen=True, kw_only=True):
    """What was made, and where."""

    bundle: str


class ExecArgs(ContainerArgs, frozen=True, kw_only=True):
    """With `wait`: answers when it has ended, with up to 64 KiB a stream.

    With `open`: answers when it has begun; its output, its end and its code come in the
    session, which is there before the program is, so nothing of a short one is missed.
    """

    process: ProcessSpec
    io: Io = msgspec.field(default_factory=Io)
    exec: Name | None = None
    wait: bool = True
    timeout_s: Seconds | None = None
    open: Opening | None = None
    size: TerminalSize | None = None


class Output(Record, frozen=True, kw_only=True):
    """The head of each stream, and whether more was cut off."""

    stdout: bytes = b""
    stderr: bytes = b""
    stdout_truncated: bool = False
    stderr_truncated: bool = False


class ExecValue(Standing, frozen=True, kw_only=True):
    process: Name
    pid: Counter | None = None
    exit: ExitStatus | None = None
    output: Output | None = None
    session: SessionView | None = None


class WaitArgs(InspectArgs, frozen=True, kw_only=True):
    """Waits for the process's end, at most `timeout_s`; ask again until `exit` is there.

    Of the present run, or of an older `run`, whose records are kept for 24 h.
    """

    process: Name = INIT
    run: Counter | None = None
    timeout_s: WaitSeconds = 30.0
    output: bool = False


class WaitValue(Standing, frozen=True, kw_only=True):
    exit: ExitStatus | None = None
    output: Output | None = None


class SignalArgs(ContainerArgs, frozen=True, kw_only=True):
    signal: Signal = "TERM"
    process: Name = INIT


class StopArgs(ContainerArgs, frozen=True, kw_only=True):
    """The container's own stop_signal and grace_s where left out."""

    signal: Signal | None = None
    grace_s: Seconds | None = None


class UpdateArgs(ContainerArgs, frozen=True, kw_only=True):
    limits: Limits


class DeleteArgs(ContainerArgs, frozen=True, kw_only=True):
    """`force` kills what still runs; without it a running container is `wrong-state`."""

    force: bool = False


class DeleteValue(Standing, frozen=True, kw_only=True):
    """What is gone. `revision`: its last; that of the event `deleted` is one more."""

    exit: ExitStatus | None = None


class StatsValue(Standing, frozen=True, kw_only=True):
    stats: Stats


class UsageArgs(Record, frozen=True, kw_only=True):
    """Of these containers (of none, of an empty list), or of all that live; by `labels`, too.

    A name that is not here, or does not live, is left out of the answer. `after` pages on:
    the `next` of the page before.
    """

    containers: Annotated[list[Name], msgspec.Meta(max_length=1000)] | None = None
    labels: Labels = {}
    after: Name | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 500


class ContainerUsage(Standing, frozen=True, kw_only=True):
    usage: Usage


class UsageValue(Record, frozen=True, kw_only=True):
    """`node` is the whole machine's; `next` is the `after` of the next page, absent on the last."""

    node: Usage
    containers: list[ContainerUsage] = []
    next: Name | None = None


class ResyncArgs(Record, frozen=True, kw_only=True):
    """`forget`: names in the bucket that the caller knows of; those unknown to the node go."""

    forget: Annotated[list[Name], msgspec.Meta(max_length=1000)] = []


class ResyncValue(Record, frozen=True, kw_only=True):
    """`names` projections are put again, those of known deleted containers too.

    `forgotten`: whose projections were removed.
    """

    names: Counter
    snapshot: Snapshot
    forgotten: list[Name] = []


class CommandArgs(Record, frozen=True, kw_only=True):
    """The op's subject is another command."""

    command: CommandId


class CommandState(Record, frozen=True, kw_only=True):
    """`state`: accepted, running or done; `result` where done."""

    command: CommandId
    op: str
    state: str
    result: Result | None = None


class CommandsArgs(Record, frozen=True, kw_only=True):
    """The commands that the node keeps, the last received first.

    `before` pages on: the `next` of the page before.
    """

    before: Counter | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 100


class CommandSummary(Record, frozen=True, kw_only=True):
    """A command in a list. `lane`: `rpc`, or `mailbox` where its result is told on `res`.

    `state` is accepted, running or done; `error` the code of one that failed. `actor` is who
    gave it: by his own word, unless there is the `key` that proved it.
    """

    command: CommandId
    op: str
    lane: str
    state: str
    container: str | None = None
    error: str | None = None
    actor: str | None = None
    key: str | None = None
    received_at: Timestamp
    started_at: Timestamp | None = None
    finished_at: Timestamp | None = None


class CommandsValue(Record, frozen=True, kw_only=True):
    """`next` is the `before` of the next page; absent on the last."""

    commands: list[CommandSummary]
    next: Counter | None = None


class CancelValue(Record, frozen=True, kw_only=True):
    """`canceled` is false where the command was done already."""

    command: CommandId
    canceled: bool


class DrainPolicy(StrEnum):
    """`stop`: containers are stopped, each with its grace; `wait`: for them to end."""

    STOP = "stop"
    WAIT = "wait"


class DrainArgs(Record, frozen=True, kw_only=True):
    """No new work from now on; answers when nothing runs any more, or after `timeout_s`."""

    policy: DrainPolicy = DrainPolicy.STOP
    timeout_s: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 600.0


class DrainValue(Record, frozen=True, kw_only=True):
    """`left` names what still runs, at most 1000 of `left_count`; the node stays draining."""

    drained: bool
    total: Counter
    left_count: Counter
    left: list[Name] = []


class UndrainValue(Record, frozen=True, kw_only=True):
    """`was_draining` is false where there was nothing to undo."""

    state: str
    was_draining: bool


class Progress(Record, frozen=True, kw_only=True):
    """On `progress.<node>.<command-id>` while a long command runs; nobody keeps it.

    `total` and `left` are containers of a drain, bytes of a `phase` that counts them, else 0.
    """

    node: Name
    command: CommandId
    op: str
    at: Timestamp
    total: Counter
    left: Counter
    phase: Phase | None = None


class PolicyCheckArgs(Record, frozen=True, kw_only=True):
    """Would the asker's `op` with `args` be let in, now? It is not run, and nothing is kept."""

    op: str
    args: dict[str, Any] = {}


class PolicyCheckValue(Record, frozen=True, kw_only=True):
    """Where not `allowed`, `error` is what the command would be answered.

    `rules` names the rules of the node's policy that are the asker's. What is found out only by
    doing it (a runtime that refuses, a full disk) is not foretold.
    """

    op: str
    allowed: bool
    rules: str
    error: ErrorBody | None = None
