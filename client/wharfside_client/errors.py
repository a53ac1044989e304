"""What this side finds out by itself; what a node answers are the protocol's own errors.

Both descend from `WharfsideError`, so that one `except` catches all that can
go wrong with a call. None of these ever travels on the wire.
"""

from __future__ import annotations

from typing import ClassVar

from wharfside_protocol.errors import DeadlineExceeded, WharfsideError


class ClientError(WharfsideError):
    """Found out on this side of the bus. `fault` names it, as `code` names a node's errors."""

    fault: ClassVar[str] = "client"


class ServerUnreachable(ClientError):
    """No NATS server can be reached, or the connection to it was lost."""

    fault = "server-unreachable"


class Untrusted(ServerUnreachable):
    """What answers does not prove to be our NATS server: nothing was told to it."""

    fault = "server-untrusted"


class Refused(ClientError):
    """The NATS server does not let this user in, or not do this."""

    fault = "refused"


class NoResponders(ClientError):
    """Nobody listens on the subject; `details.subject` tells which."""

    fault = "no-responders"


class NodeUnreachable(NoResponders):
    """No agent of this name is connected: nothing was done there."""

    fault = "node-unreachable"


class NotSetUp(NoResponders):
    """A stream or bucket is missing (or may not be read by this user)."""

    fault = "not-set-up"


class ApiError(ClientError):
    """JetStream's API said no, in its own words.

    Attributes:
        status: as in HTTP, 404 for what is not there.
        err_code: the server's own number of the error.
    """

    fault = "jetstream"

    def __init__(self, message: str, *, status: int, err_code: int) -> None:
        super().__init__(message, status=status, err_code=err_code)
        self.status = status
        self.err_code = err_code


class EventsLost(ClientError):
    """Events between here and there can no longer be told: read the state anew.

    `details.after` is the sequence asked for, `details.first` what the stream still has.
    """

    fault = "events-lost"


class SessionLost(ClientError):
    """The node's agent, or its memory of this I/O session, is gone.

    `details.taken`: so many bytes of input were taken; what was written beyond is not known
    of. `details.position`: where the log goes on behind the last output that came.
    """

    fault = "session-lost"


class SessionEnded(ClientError):
    """The I/O session is over: nobody takes any more input."""

    fault = "session-ended"


class LocalFiles(ClientError):
    """A file of this side cannot be read or written; `details.path` tells which."""

    fault = "local-files"


class BadSettings(ClientError):
    """How to connect is not told well; nothing was sent."""

    fault = "bad-settings"


class Unanswered(DeadlineExceeded):
    """No answer came in time: it is unknown whether the command was taken.

    Send it again under the same id (or ask `result`), and the node tells.
    """


class Pending(DeadlineExceeded):
    """A durable command is kept for its node, and nothing is told of it yet.

    `details.command` is its id: follow it with `Node.posted`.
    """


def unanswered(subject: str, timeout_s: float) -> Unanswered:
    """The error of a request on `subject` that was waited for in vain."""
    return Unanswered(
        f"no answer on {subject} within {timeout_s:g} s; it is unknown whether it was done: "
        "repeat it under the same command id",
        stage="unanswered",
        subject=subject,
    )


def fault_of(error: WharfsideError) -> str:
    """The name of `error` for a program: a wire code, or this side's own `fault`."""
    return error.fault if isinstance(error, ClientError) else str(error.code)
