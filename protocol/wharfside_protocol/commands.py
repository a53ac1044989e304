"""Arguments and values of the ops on containers; `ops` is the table of all of them."""

from __future__ import annotations

from typing import Annotated

import msgspec

from wharfside_protocol.command_base import ContainerArgs, InspectArgs
from wharfside_protocol.exits import ExitStatus
from wharfside_protocol.io_commands import Opening, SessionView, TerminalSize
from wharfside_protocol.records import Counter, Labels, Name, Record, Seconds
from wharfside_protocol.specs import ContainerSpec, Io, Limits, ProcessSpec, Signal
from wharfside_protocol.states import INIT, ContainerState
from wharfside_protocol.stats import Stats
from wharfside_protocol.views import ContainerView, ProcessView, Standing

CAPTURE_BYTES = 64 * 1024
"""At most so much of each stream travels in a result."""

WaitSeconds = Annotated[float, msgspec.Meta(ge=0, le=60)]


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
