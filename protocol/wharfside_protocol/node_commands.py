"""Arguments and values of the ops about a node itself: its figures, its commands, its drain."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import msgspec

from wharfside_protocol.checkpoints import Phase
from wharfside_protocol.envelope import Result
from wharfside_protocol.errors import ErrorBody
from wharfside_protocol.event_facts import Snapshot
from wharfside_protocol.records import CommandId, Counter, Labels, Name, Record, Timestamp
from wharfside_protocol.stats import Usage
from wharfside_protocol.views import Standing


class Pong(Record, frozen=True, kw_only=True):
    """`at` is the node's clock; `epoch` tells a new life of its store."""

    node: Name
    at: Timestamp
    epoch: Counter


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
