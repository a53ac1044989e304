"""What can keep the agent from starting, each with what to do about it; and what nobody foresaw."""

from __future__ import annotations

from wharfside_protocol.errors import Internal, WharfsideError


class StartError(Exception):
    """The agent does not start; the message is for the operator."""


class SettingsError(StartError):
    """The configuration file is at fault."""


class AlreadyRunning(StartError):
    """Another agent works on this data folder."""


class NoRuntime(StartError):
    """No OCI runtime, or no conmon, works on this machine."""


def told(error: Exception) -> WharfsideError:
    """`error` as it is told: one that nobody foresaw is a fault of the agent itself."""
    if isinstance(error, WharfsideError):
        return error
    return Internal(f"{type(error).__name__}: {error}; the agent's log has the trace")
