"""Checkpoints: what is asked for, what is there, and what is told of them."""

from __future__ import annotations

from enum import StrEnum

from wharfside_protocol.errors import ErrorBody
from wharfside_protocol.records import Counter, Incarnation, Name, Record, Timestamp
from wharfside_protocol.views import RestoredFrom, Standing


class CheckpointFlags(Record, frozen=True, kw_only=True):
    """What CRIU may take along, and what becomes of the container.

    `tcp`: established connections. `unix_sockets`: sockets whose other end is outside.
    `shell`: a terminal and its session. `file_locks`: locks on files that others may share.
    `pre_dump`: memory first, while it runs, so that it stands still only for what changed since.
    `exit`: the container ends with the checkpoint, instead of going on.
    """

    tcp: bool = False
    unix_sockets: bool = False
    shell: bool = False
    file_locks: bool = False
    pre_dump: bool = False
    exit: bool = False


class CheckpointArgs(CheckpointFlags, frozen=True, kw_only=True):
    """`checkpoint` is its name; one that is there is never replaced."""

    container: Name
    checkpoint: Name


class CheckpointView(CheckpointFlags, frozen=True, kw_only=True):
    """A checkpoint on a node. `digest` is that of its manifest (SHA-256, hex), and so of all of it.

    `parent` is the pre-dump that it builds on. `broken` says what is wrong with one that cannot be
    restored, of which only name and incarnation are known for certain. Where it has an
    `other_format` than its node reads, it is none the less whole: an agent of the version that
    wrote it can restore it, so keep it.
    """

    checkpoint: Name
    incarnation: Incarnation
    container: Name | None = None
    run: Counter | None = None
    timestamp: Timestamp | None = None
    node: Name | None = None
    parent: Name | None = None
    bytes: Counter = 0
    runtime: str | None = None
    runtime_version: str | None = None
    criu_version: str | None = None
    digest: str | None = None
    broken: str | None = None
    other_format: Counter | None = None


class CheckpointValue(Standing, frozen=True, kw_only=True):
    """`frozen_us`: so long the container stood still, or was over with `exit`."""

    checkpoint: CheckpointView
    frozen_us: Counter


class CheckpointsArgs(Record, frozen=True, kw_only=True):
    """All of the node, or of a container (the living one of that name), or of an incarnation.

    `after` pages on: the `next` of the page before.
    """

    container: Name | None = None
    incarnation: Incarnation | None = None
    after: Counter = 0


class CheckpointsValue(Record, frozen=True, kw_only=True):
    """Oldest first. `bytes` of all on the node, of at most `max_bytes`."""

    checkpoints: list[CheckpointView]
    bytes: Counter
    max_bytes: Counter
    next: Counter | None = None


class DeleteCheckpointArgs(Record, frozen=True, kw_only=True):
    """Of the living container of that name; with `incarnation` of that one, also a deleted one."""

    container: Name
    incarnation: Incarnation | None = None
    checkpoint: Name


class DeleteCheckpointValue(Record, frozen=True, kw_only=True):
    """`deleted` is false where there was none."""

    checkpoint: Name
    deleted: bool


class RestoreArgs(Record, frozen=True, kw_only=True):
    """In place: `container` is stopped, goes on from its own `checkpoint`, as its next run.

    As a new container: with `source` the checkpoint is that container's, with `incarnation` that
    incarnation's, which may be deleted; `container` is a name that is free.
    """

    container: Name
    checkpoint: Name
    source: Name | None = None
    incarnation: Incarnation | None = None

    @property
    def in_place(self) -> bool:
        return self.source is None and self.incarnation is None


class Phase(StrEnum):
    """Of a checkpoint, a restore, or a container's way to another node, as progress tells it."""

    PRE_DUMPING = "pre-dumping"
    FREEZING = "freezing"
    DUMPING = "dumping"
    WRITING = "writing"
    CARRYING = "carrying"
    CHECKING = "checking"
    RESTORING = "restoring"


class Checkpointed(CheckpointView, frozen=True, kw_only=True):
    """With `exit` the `exited` that it causes follows."""

    frozen_us: Counter = 0


class CheckpointFailed(Record, frozen=True, kw_only=True):
    """`error.details.log` has the tail of CRIU's log. The container goes on, unless an `exited`
    follows."""

    checkpoint: Name
    error: ErrorBody


class Restored(Record, frozen=True, kw_only=True):
    """Instead of `started`: init goes on from where the checkpoint was taken."""

    pid: Counter
    restored_from: RestoredFrom
