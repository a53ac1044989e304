"""Ships the logs of processes that ask for it (`io.ship`) into the stream WHARFSIDE_LOGS.

Beside everything else: no container, exit or event ever waits for it, but a delete, which
gives it FINISH_S for the rest of a log that goes with its container.
"""

from __future__ import annotations

import asyncio

import structlog

from wharfside_agent.ports.bus import Bus
from wharfside_agent.ports.logs import LogName, Logs
from wharfside_agent.ports.rows import ShipmentRow
from wharfside_agent.ports.store import Store
from wharfside_agent.services.insistence import Insistence
from wharfside_agent.services.life.containers import Containers
from wharfside_agent.services.life.live import Live
from wharfside_agent.services.streams.shipment import Shipment
from wharfside_agent.services.tasks import Tasks
from wharfside_protocol.errors import NotFound
from wharfside_protocol.event_facts import LogLost
from wharfside_protocol.events import EventType
from wharfside_protocol.states import ContainerState
from wharfside_protocol.subjects import Subjects

log = structlog.get_logger(__name__)

FINISH_S = 3.0


class Shipping:
    """One task a log; each holds one piece (32 KiB) while the bus is away."""

    def __init__(
        self,
        node: str,
        containers: Containers,
        logs: Logs,
        store: Store,
        bus: Bus,
        subjects: Subjects,
        tasks: Tasks,
    ) -> None:
        self._node = node
        self._containers = containers
        self._logs = logs
        self._store = store
        self._bus = bus
        self._subjects = subjects
        self._tasks = tasks
        self._insistence = Insistence(bus)
        self._under_way: dict[LogName, asyncio.Task[None]] = {}
        self._shipments: dict[LogName, Shipment] = {}
        self._shipped_before = 0
        containers.on_commit(self._look)

    @property
    def retries(self) -> int:
        return self._insistence.retries

    @property
    def shipped_bytes(self) -> int:
        """Of all logs, in this life."""
        return self._shipped_before + sum(each.shipped_bytes for each in self._shipments.values())

    async def resume(self) -> None:
        """After recovery: what lives, and what ended without having been shipped whole."""
        rows = await self._store.transact(lambda tx: tx.unfinished_shipments())
        living = {live.row.incarnation: live for live in self._containers}
        for row in rows:
            if (live := living.get(row.incarnation)) is not None:
                self._follow(live, LogName(row.incarnation, row.run, row.process))
        for live in living.values():
            self._look(live)

    def _look(self, live: Live) -> None:
        """A commit may have told of a new process."""
        for process in live.processes.values():
            if process.handle is not None and process.handle.streams.io.ship:
                row = process.row
                self._follow(live, LogName(row.incarnation, row.run, row.process))

    def _follow(self, live: Live, name: LogName) -> None:
        if name not in self._under_way:
            self._forget_shipped(live)
            what = f"shipping {live.row.name}/{name.process} of run {name.run}"
            self._under_way[name] = self._tasks.start(self._ship(live, name), what)

    def _forget_shipped(self, live: Live) -> None:
        """What `_look` will not come upon again: a crash loop, or execs, must not fill memory."""
        present = {(live.row.run, process) for process in live.processes}
        over = [
            name
            for name, task in self._under_way.items()
            if name.incarnation == live.row.incarnation
            and task.done()
            and (name.run, name.process) not in present
        ]
        for name in over:
            del self._under_way[name]

    async def _ship(self, live: Live, name: LogName) -> None:
        """One run after the other: they share a subject, and its order."""
        earlier = [
            task
            for other, task in self._under_way.items()
            if (other.incarnation, other.process) == (name.incarnation, name.process)
            and other.run < name.run
        ]
        if earlier:
            await asyncio.wait(earlier)
        found = await self._store.transact(
            lambda tx: tx.shipment(name.incarnation, name.run, name.process)
        )
        if found is not None and found.done:
            return
        shipment = self._shipments[name] = Shipment(
            found or ShipmentRow(incarnation=name.incarnation, run=name.run, process=name.process),
            self._node,
            live.row.name,
            self._logs,
            self._store,
            self._bus,
            self._subjects,
            self._insistence,
            lambda shipment, offset, count: self._tell_lost(live, shipment, offset, count),
        )
        try:
            await shipment.run()
        finally:
            self._shipped_before += shipment.shipped_bytes
            del self._shipments[name]

    async def _tell_lost(self, live: Live, shipment: Shipment, offset: int, count: int) -> None:
        def is_there() -> None:
            if self._containers.get(live.row.name) is not live:
                raise NotFound(f"{live.row.name} is deleted")

        name = shipment.name
        data = LogLost(run=name.run, offset=offset, count=count)
        draft = self._containers.draft(live.row, EventType.LOG_LOST, data, process=name.process)
        await self._containers.commit(live, [draft], guard=is_there)

    async def finish(self, live: Live) -> None:
        """Before its logs are removed: ships the rest, or tells how much of it is lost."""
        names = [name for name in self._under_way if name.incarnation == live.row.incarnation]
        tasks = [self._under_way[name] for name in names]
        ends = live.row.state is not ContainerState.CREATED and self._bus.connected
        if tasks:
            await asyncio.wait(tasks, timeout=FINISH_S if ends else 0)
        for name, task in zip(names, tasks, strict=True):
            shipment = self._shipments.get(name)
            if shipment is not None:
                task.cancel()
                await asyncio.wait({task})
                if (unsent := shipment.unsent) > 0:
                    await self._tell_lost(live, shipment, shipment.row.offset, unsent)
            self._under_way.pop(name, None)
