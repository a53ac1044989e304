"""What the agent needs of the kernel's witnesses: ends, OOM kills, figures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from wharfside_agent.core.cgroup_paths import Cgroup
from wharfside_agent.core.exit_status import Ended as Ended
from wharfside_protocol.exits import StatusSource
from wharfside_protocol.stats import Stats, Usage


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process beyond doubt: a pid alone is reused.

    `start_time` is field 22 of /proc/PID/stat (clock ticks since boot, proc(5)).
    """

    pid: int
    start_time: int


@dataclass(frozen=True, slots=True)
class MonitorGone:
    """conmon died and its process lives: `watched_by` says who sees its end now."""

    watched_by: StatusSource


class ExitWatch(Protocol):
    """The eye on one process and its monitor."""

    @property
    def exit_fd(self) -> int:
        """A pidfd of the process; readable once it is over. -1 where it was over before."""
        ...

    @property
    def ended(self) -> Ended | None:
        """How it ended, once that is known."""
        ...

    async def next(self) -> Ended | MonitorGone:
        """The next thing to tell; Ended is the last. Waits without bound."""
        ...

    def look(self) -> None:
        """Looks by itself whether process and monitor are over: the doorbell may be broken."""
        ...

    def close(self) -> None: ...


class Exits(Protocol):
    """Arms exit watches."""

    def arm(self, process: ProcessIdentity, monitor: ProcessIdentity, persist: Path) -> ExitWatch:
        """Watch from now on; also right where one or both are over already.

        `persist` is conmon's persist folder (`exit`, `oom` come there).
        """
        ...


@dataclass(frozen=True, slots=True)
class OomCounters:
    """Totals of a cgroup since it was made; bytes."""

    oom_kills: int
    oom_events: int | None = None
    limit_bytes: int | None = None
    peak_bytes: int | None = None


class OomWatch(Protocol):
    """The eye on one container's cgroup."""

    async def next(self) -> OomCounters | None:
        """The counters after the next rise of `oom_kills`. Waits without bound.

        None: the watch was closed.
        """
        ...

    def read(self) -> OomCounters | None:
        """The counters now; None where the cgroup is gone."""
        ...

    def close(self) -> None: ...


class Ooms(Protocol):
    """Arms OOM watches (between create and start, so that nothing is missed)."""

    def arm(self, cgroup: Cgroup, seen_kills: int = 0) -> OomWatch:
        """`seen_kills` were told before (by a former life of the agent)."""
        ...


class StatsReader(Protocol):
    """Reads a cgroup's figures."""

    def read(self, cgroup: Cgroup) -> Stats:
        """The figures now.

        Raises:
            NotFound: the cgroup is gone.
        """
        ...

    def usage(self, cgroup: Cgroup) -> Usage | None:
        """The few that a live table wants; None: the cgroup is gone."""
        ...

    def cpu_us(self, cgroup: Cgroup) -> int | None:
        """The CPU time used alone, by one file; None: the cgroup is gone."""
        ...
