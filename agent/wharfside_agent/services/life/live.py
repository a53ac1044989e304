"""A living container in memory: its row, its processes, and what is being done to it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from wharfside_agent.ports.process import Process
from wharfside_agent.ports.rows import ContainerRow, ProcessRow
from wharfside_agent.ports.runtime import Container, RunPlan
from wharfside_protocol.errors import NotFound
from wharfside_protocol.exits import ExitStatus
from wharfside_protocol.states import INIT, ProcessState


@dataclass(slots=True)
class LiveProcess:
    """A process of the present run; `ended` resolves once its exit is committed.

    `follower` waits for its end; from `seen_over` on it works on telling it.
    """

    row: ProcessRow
    handle: Process | None = None
    follower: asyncio.Task[None] | None = None
    seen_over: bool = False
    ended: asyncio.Future[ExitStatus] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


@dataclass(slots=True)
class Live:
    """One incarnation in memory.

    `settling` is held from an act of the runtime to the commit that tells it, so
    that no exit is told before the start that it follows. `commits` is held for
    a transaction. `discarded`: deleted before it ran, so its end is not told.
    """

    row: ContainerRow
    processes: dict[str, LiveProcess]
    handle: Container | None = None
    settling: asyncio.Lock = field(default_factory=asyncio.Lock)
    commits: asyncio.Lock = field(default_factory=asyncio.Lock)
    discarded: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set at the next commit, or when it is dropped; another has taken its place then."""

    def tell_changed(self) -> None:
        """Wakes whoever waits for a change."""
        self.changed.set()
        self.changed = asyncio.Event()

    @property
    def init(self) -> LiveProcess:
        return self.processes[INIT]

    @property
    def execs(self) -> Iterable[LiveProcess]:
        return (live for name, live in self.processes.items() if name != INIT)

    @property
    def runtime(self) -> Container:
        """The runtime's container.

        Raises:
            NotFound: nothing of it is left in the runtime (another boot).
        """
        if self.handle is None:
            raise NotFound(f"{self.row.name} is no longer known to the runtime: delete it")
        return self.handle

    @property
    def plan(self) -> RunPlan:
        row = self.row
        return RunPlan(
            container=row.name,
            incarnation=row.incarnation,
            run=row.run,
            spec=row.spec,
            runtime=row.runtime,
            rules=row.rules,
        )


def traced(row: ProcessRow, process: Process, state: ProcessState) -> ProcessRow:
    """`row` with what a later life needs to find the process again."""
    trace = process.trace
    return msgspec.structs.replace(
        row,
        state=state,
        pid=trace.identity.pid,
        start_time=trace.identity.start_time,
        monitor_pid=trace.monitor.pid,
        monitor_start_time=trace.monitor.start_time,
    )
