"""The states of a container and of a process in it."""

from __future__ import annotations

from enum import StrEnum


class ContainerState(StrEnum):
    """Of a container. A restore or restart begins again at `creating`, with run + 1."""

    CREATING = "creating"
    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    MIGRATING = "migrating"
    DELETED = "deleted"

    @property
    def live(self) -> bool:
        """An init process exists, or may exist."""
        return self in _LIVE


_LIVE = frozenset(
    {
        ContainerState.CREATING,
        ContainerState.CREATED,
        ContainerState.RUNNING,
        ContainerState.PAUSED,
    }
)


class ProcessState(StrEnum):
    """A process of a container; execs die with their run."""

    ADDED = "added"
    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"


INIT = "init"
"""The id of a container's first process (containerd's seed: "init" or the caller's)."""
