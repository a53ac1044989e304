"""What can keep the agent from starting, each with what to do about it."""

from __future__ import annotations


class StartError(Exception):
    """The agent does not start; the message is for the operator."""


class SettingsError(StartError):
    """The configuration file is at fault."""


class AlreadyRunning(StartError):
    """Another agent works on this data folder."""


class NoRuntime(StartError):
    """No OCI runtime, or no conmon, works on this machine."""
