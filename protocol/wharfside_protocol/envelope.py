"""Command and Result: what goes to a node and what comes back, on every lane."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from wharfside_protocol import PROTOCOL_VERSION
from wharfside_protocol.errors import ErrorBody
from wharfside_protocol.records import (
    CommandId,
    Counter,
    Incarnation,
    Name,
    OpName,
    Record,
    Timestamp,
)

Actor = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]

DEFAULT_RPC_SECONDS = 30
DEFAULT_MAILBOX_SECONDS = 24 * 3600
MAX_DEADLINE_SECONDS = 24 * 3600


class Expect(Record, frozen=True, kw_only=True):
    """A fence: the command is `stale` unless the container is just this."""

    incarnation: Incarnation | None = None
    run: Counter | None = None
    revision: Counter | None = None


class Command(Record, frozen=True, kw_only=True):
    """A command to one node.

    `node` and `op` repeat the subject: an agent refuses a message whose envelope
    says otherwise, so that nothing can be steered by a foreign reply subject.
    `deadline` bounds the start, by the node's clock.
    """

    id: CommandId
    op: OpName
    node: Name
    v: int = PROTOCOL_VERSION
    deadline: Timestamp | None = None
    expect: Expect | None = None
    actor: Actor | None = None
    args: dict[str, Any] = {}


class Timings(Record, frozen=True, kw_only=True):
    """When the node took the command, began and ended it; by the node's clock."""

    received_at: Timestamp
    started_at: Timestamp | None = None
    finished_at: Timestamp | None = None


class Result(Record, frozen=True, kw_only=True):
    """The answer to a command: `value` where `ok`, else `error`.

    `replayed` is true where a stored result answers a repeat of the command.
    """

    id: str
    op: str
    node: Name
    ok: bool
    v: int = PROTOCOL_VERSION
    value: dict[str, Any] | None = None
    error: ErrorBody | None = None
    replayed: bool = False
    digest: str | None = None
    timings: Timings | None = None


class Accepted(Record, frozen=True, kw_only=True):
    """The node has a durable command in its store: it will be run, whatever dies.

    `digest` tells which command has the id: a caller whose own differs has used the id of
    another one.
    """

    id: CommandId
    op: str
    node: Name
    v: int = PROTOCOL_VERSION
    digest: str
    received_at: Timestamp
