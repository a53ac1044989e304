"""The container's life as a table; docs/architecture.md is drawn from it.

An input that has no row for the state raises `WrongState` and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from wharfside_protocol.errors import WrongState
from wharfside_protocol.events import EventType
from wharfside_protocol.states import ContainerState as S


class Input(StrEnum):
    """What can happen to a container: commands asked for, facts told by the runtime or kernel."""

    CREATED = "runtime created"
    CREATE_FAILED = "create failed"
    CREATED_AGAIN = "runtime created, run + 1"
    CREATE_REFUSED = "create refused, run + 1"
    START = "start"
    START_REFUSED = "start refused"
    EXEC = "exec"
    UPDATE = "update"
    OOM = "oom"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    MONITOR_LOST = "monitor lost"
    INIT_ENDED = "init ended"
    REBOOT = "another boot"
    RESTARTING = "policy: again"
    NOT_RESTARTING = "policy: rests"
    CHECKPOINT = "checkpoint"
    CHECKPOINT_FAILED = "checkpoint failed"
    RESTORE = "restore"
    RESTORED = "runtime restored"
    LEAVE = "final dump of a migration"
    MOVED = "it runs on the other node"
    RETURN = "the migration failed"
    STRANDED = "neither node could restore it"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Transition:
    """One row. `next` None: the state stays. `event` is told in the same transaction."""

    state: S
    input: Input
    next: S | None
    event: EventType | None
    raises_revision: bool


def _rows(
    states: tuple[S, ...], input_: Input, next_: S | None, event: EventType | None
) -> list[Transition]:
    fences = next_ is not None or input_ in (Input.UPDATE, Input.STOP)
    return [Transition(state, input_, next_, event, fences) for state in states]


_ALIVE = (S.RUNNING, S.PAUSED)

_ROWS = [
    *_rows((S.CREATING,), Input.CREATED, S.CREATED, EventType.CREATED),
    *_rows((S.CREATING,), Input.CREATE_FAILED, S.DELETED, EventType.CREATE_FAILED),
    *_rows((S.CREATING,), Input.CREATED_AGAIN, S.CREATED, None),
    *_rows((S.CREATING,), Input.CREATE_REFUSED, S.STOPPED, EventType.START_FAILED),
    *_rows((S.CREATED,), Input.START, S.RUNNING, EventType.STARTED),
    *_rows((S.STOPPED,), Input.START, S.CREATING, None),
    *_rows((S.CREATED,), Input.START_REFUSED, S.STOPPED, EventType.START_FAILED),
    *_rows((S.CREATED, *_ALIVE), Input.INIT_ENDED, S.STOPPED, EventType.EXITED),
    *_rows((S.CREATED, *_ALIVE), Input.REBOOT, S.STOPPED, EventType.EXITED),
    *_rows((S.STOPPED,), Input.RESTARTING, None, EventType.RESTARTING),
    *_rows((S.STOPPED,), Input.NOT_RESTARTING, None, EventType.NOT_RESTARTING),
    *_rows((S.RUNNING,), Input.EXEC, None, EventType.EXEC_ADDED),
    *_rows((S.CREATED, *_ALIVE), Input.UPDATE, None, EventType.UPDATED),
    *_rows((S.CREATED, *_ALIVE), Input.OOM, None, EventType.OOM),
    *_rows((S.RUNNING,), Input.PAUSE, S.PAUSED, EventType.PAUSED),
    *_rows((S.PAUSED,), Input.RESUME, S.RUNNING, EventType.RESUMED),
    *_rows(_ALIVE, Input.STOP, None, EventType.STOPPING),
    *_rows((S.CREATED, *_ALIVE), Input.MONITOR_LOST, None, EventType.MONITOR_LOST),
    *_rows((S.RUNNING,), Input.CHECKPOINT, None, EventType.CHECKPOINTED),
    *_rows(_ALIVE, Input.CHECKPOINT_FAILED, None, EventType.CHECKPOINT_FAILED),
    *_rows((S.STOPPED,), Input.RESTORE, S.CREATING, None),
    *_rows((S.CREATING,), Input.RESTORED, S.RUNNING, EventType.RESTORED),
    *_rows((S.RUNNING, S.PAUSED), Input.LEAVE, S.MIGRATING, EventType.EXITED),
    *_rows((S.MIGRATING,), Input.MOVED, S.DELETED, EventType.DELETED),
    *_rows((S.MIGRATING,), Input.RETURN, S.CREATING, None),
    *_rows((S.MIGRATING,), Input.STRANDED, S.STOPPED, None),
    *_rows((S.CREATED, S.STOPPED), Input.DELETE, S.DELETED, EventType.DELETED),
]

TABLE: Mapping[tuple[S, Input], Transition] = MappingProxyType(
    {(row.state, row.input): row for row in _ROWS}
)

_MOVES = "wait until it runs on the other node, or abort the migration"

OVER = frozenset({S.STOPPED, S.MIGRATING})
"""The present run has ended, and was told."""

_ADVICE: Mapping[tuple[S, Input], str] = MappingProxyType(
    {
        (S.RUNNING, Input.DELETE): "stop it first, or delete it with force (`rm -f`)",
        (S.PAUSED, Input.DELETE): "stop it first, or delete it with force (`rm -f`)",
        (S.CREATED, Input.EXEC): "start it first",
        (S.MIGRATING, Input.DELETE): _MOVES,
        (S.MIGRATING, Input.START): _MOVES,
        (S.MIGRATING, Input.STOP): _MOVES,
        (S.MIGRATING, Input.RESTORE): _MOVES,
        (S.CREATED, Input.STOP): "it was never started: delete it",
        (S.PAUSED, Input.EXEC): "resume it first",
        (S.PAUSED, Input.CHECKPOINT): "resume it first",
        (S.CREATED, Input.CHECKPOINT): "start it first",
        (S.RUNNING, Input.RESTORE): "stop it first, or restore it as a new container",
        (S.PAUSED, Input.RESTORE): "stop it first, or restore it as a new container",
    }
)


def advance(state: S, input_: Input, container: str) -> Transition:
    """The row for `input_` in `state`.

    Raises:
        WrongState: there is none; the message says what to do instead.
    """
    row = TABLE.get((state, input_))
    if row is None:
        advice = _ADVICE.get((state, input_))
        message = f"{container} is {state}: {input_} is not possible"
        raise WrongState(f"{message}; {advice}" if advice else message, state=str(state))
    return row
