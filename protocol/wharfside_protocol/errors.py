"""Every way in which a command can be refused or fail: one class a code, a closed set."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, ClassVar

from wharfside_protocol.records import Record


class ErrorCode(StrEnum):
    """The closed set of codes; a caller may switch on it."""

    NOT_FOUND = "not-found"
    ALREADY_EXISTS = "already-exists"
    WRONG_STATE = "wrong-state"
    STALE = "stale"
    CONFLICT = "conflict"
    DEADLINE_EXCEEDED = "deadline-exceeded"
    INVALID = "invalid"
    DENIED = "denied"
    BUSY = "busy"
    DRAINING = "draining"
    UNSUPPORTED = "unsupported"
    RUNTIME_FAILED = "runtime-failed"
    CANCELED = "canceled"
    INTERNAL = "internal"


class ErrorBody(Record, frozen=True, kw_only=True):
    """An error on the wire. `message` says what to do next, for a person."""

    code: ErrorCode
    message: str
    stage: str | None = None
    details: dict[str, Any] = {}


MAX_TEXT = 4096
"""Characters of a message: it may quote foreign input or a runtime's words, however long."""


class WharfsideError(Exception):
    """Something was refused or failed; the subclass says what.

    Attributes:
        message: what went wrong and what to do next; cut at MAX_TEXT.
        stage: how far the work had come (`waiting`, `running`, a journal step).
        details: facts for a program; values are msgpack-able.
    """

    code: ClassVar[ErrorCode] = ErrorCode.INTERNAL

    def __init__(self, message: str, *, stage: str | None = None, **details: Any) -> None:
        self.message = message if len(message) <= MAX_TEXT else message[: MAX_TEXT - 1] + "…"
        super().__init__(self.message)
        self.stage = stage
        self.details = details

    def to_body(self) -> ErrorBody:
        return ErrorBody(
            code=self.code, message=self.message, stage=self.stage, details=self.details
        )


class NotFound(WharfsideError):
    """No such container, process or command here."""

    code = ErrorCode.NOT_FOUND


class AlreadyExists(WharfsideError):
    """The name is taken by something that lives."""

    code = ErrorCode.ALREADY_EXISTS


class WrongState(WharfsideError):
    """The container's state does not allow it; `details.state` tells the state."""

    code = ErrorCode.WRONG_STATE


class Stale(WharfsideError):
    """What the command expects (incarnation, run, revision) is no longer so."""

    code = ErrorCode.STALE


class Conflict(WharfsideError):
    """The command id was used before for another op or other arguments."""

    code = ErrorCode.CONFLICT


class DeadlineExceeded(WharfsideError):
    """Too late. `stage=running`: the work goes on, and `result` will have it."""

    code = ErrorCode.DEADLINE_EXCEEDED


class Invalid(WharfsideError):
    """The input is not what the protocol says; nothing was changed."""

    code = ErrorCode.INVALID


class Denied(WharfsideError):
    """The node's policy does not allow it; `details.rule` names the rule."""

    code = ErrorCode.DENIED


class Busy(WharfsideError):
    """The node has as much work as it takes; try again later."""

    code = ErrorCode.BUSY


class Draining(WharfsideError):
    """The node takes no new work."""

    code = ErrorCode.DRAINING


class Unsupported(WharfsideError):
    """This node, its runtime or this version cannot do it."""

    code = ErrorCode.UNSUPPORTED


class RuntimeFailed(WharfsideError):
    """The OCI runtime or its monitor refused; the message carries its own words."""

    code = ErrorCode.RUNTIME_FAILED


class Canceled(WharfsideError):
    """The command was canceled before it was done."""

    code = ErrorCode.CANCELED


class Internal(WharfsideError):
    """A fault of the agent itself; its log has the trace."""

    code = ErrorCode.INTERNAL


ERRORS: Mapping[ErrorCode, type[WharfsideError]] = MappingProxyType(
    {kind.code: kind for kind in WharfsideError.__subclasses__()}
)


def from_body(body: ErrorBody) -> WharfsideError:
    """The exception that `body` tells of, as the side that raised it had it."""
    error = ERRORS[body.code](body.message, stage=body.stage)
    error.details = dict(body.details)
    return error
