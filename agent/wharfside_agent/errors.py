"""What can keep the agent from starting, each with what to do about it; and what nobody foresaw."""

from __future__ import annotations

import errno

from wharfside_protocol.errors import Busy, Internal, WharfsideError


class StartError(Exception):
    """The agent does not start; the message is for the operator."""


class SettingsError(StartError):
    """The configuration file is at fault."""


class AlreadyRunning(StartError):
    """Another agent works on this data folder."""


class NoRuntime(StartError):
    """No OCI runtime, or no conmon, works on this machine."""


class DiskFull(Busy):
    """No room on the disk for the agent's own records; nothing was done."""

    def __init__(self) -> None:
        super().__init__(
            "the node's disk is full: free space below its state_dir (delete containers, or "
            "what else fills it), then send this again",
            disk="full",
        )


class OutOfDescriptors(Busy):
    """The agent has no file descriptors left; nothing was done."""

    def __init__(self) -> None:
        super().__init__(
            "the node's agent has no file descriptors left: delete containers, or raise its "
            "limit (LimitNOFILE), then send this again",
            descriptors="none",
        )


_OUT_OF = {
    errno.ENOSPC: DiskFull,
    errno.EDQUOT: DiskFull,
    errno.EMFILE: OutOfDescriptors,
    errno.ENFILE: OutOfDescriptors,
}


def told(error: Exception) -> WharfsideError:
    """`error` as it is told: one that nobody foresaw is a fault of the agent itself."""
    if isinstance(error, WharfsideError):
        return error
    if isinstance(error, OSError) and error.errno in _OUT_OF:
        return _OUT_OF[error.errno]()
    return Internal(f"{type(error).__name__}: {error}; the agent's log has the trace")


def is_shortage(error: BaseException) -> bool:
    """Whether time, or an operator, may mend it: no room, no descriptors, too much to do."""
    return isinstance(error, Exception) and isinstance(told(error), Busy)
