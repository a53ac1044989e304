"""What is told on the bus, and where."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Any

from ulid import ULID

from wharfside_agent import host
from wharfside_agent.bus.credential_files import OptionFiles
from wharfside_agent.composition.lives import Lives
from wharfside_agent.machine import Machine
from wharfside_agent.ports.store import Store
from wharfside_agent.services.commands.reporter import Reporter
from wharfside_agent.services.streams.shipping import Shipping
from wharfside_agent.services.telling.credentials import Credentials
from wharfside_agent.services.telling.presence import Presence
from wharfside_agent.services.telling.projections import Projections
from wharfside_agent.services.telling.publisher import Publisher
from wharfside_agent.services.telling.readiness import Readiness
from wharfside_agent.services.telling.snapshots import Snapshots
from wharfside_agent.settings import Settings
from wharfside_agent.watchers.folders import InotifyFolders
from wharfside_protocol import __version__
from wharfside_protocol.times import NANOSECONDS, to_timestamp
from wharfside_protocol.views import NodeInfo


class Telling(Lives):
    """Events, reports, projections, presence, shipped logs."""

    @cached_property
    def publisher(self) -> Publisher:
        recognized_ns = int(self.settings.outbox.recognized_s * NANOSECONDS)
        return Publisher(self.store, self.bus, self.subjects, self.clock, self.tasks, recognized_ns)

    @cached_property
    def reporter(self) -> Reporter:
        return Reporter(self.store, self.bus, self.subjects, self.journal)

    @cached_property
    def projections(self) -> Projections:
        return Projections(self.store, self.bus, self.clock)

    @cached_property
    def snapshots(self) -> Snapshots:
        return Snapshots(self.store, self.clock, self.settings.snapshot.every_s)

    @cached_property
    def credentials(self) -> Credentials:
        return Credentials(
            OptionFiles(lambda: self.bus.options),
            InotifyFolders(),
            self.store,
            self.clock,
            self.bus.renew,
            self.presence.changed,
        )

    @cached_property
    def shipping(self) -> Shipping:
        return Shipping(
            self.name,
            self.containers,
            self.machine.logs,
            self.store,
            self.bus,
            self.subjects,
            self.tasks,
        )

    @cached_property
    def presence(self) -> Presence:
        return Presence(
            _node_info(self.settings, self.store, self.machine, self.clock),
            self.bus,
            self.subjects,
            self.clock,
            self.containers,
            self.tasks,
            self._health,
            lambda: self.drain.draining,
        )

    @cached_property
    def readiness(self) -> Readiness:
        return Readiness(
            {
                "recovery": lambda: None if self.recovered else "under-way",
                "bus": lambda: None if self.bus.connected else "offline",
                "streams": lambda: self.publisher.wanting or self.reporter.wanting,
                "runtime": self._missing_programs,
                "loop": lambda: "late" if self.loop_watch.late else None,
                "disk": lambda: "full" if self.store.disk_full else None,
                "outbox": lambda: "full" if self.store.room.dropping else None,
            }
        )

    def _missing_programs(self) -> str | None:
        """They were there when the agent started; an upgrade may have taken them away."""
        programs = [Path(each.path) for each in self.machine.runtime.available]
        gone = [path.name for path in programs if not path.exists()]
        return f"gone: {' '.join(gone)}" if gone else None

    def _health(self) -> dict[str, Any]:
        return {
            "ready": self.readiness.wanting(),
            "events_missed": self.relist.missed,
            "orphans": self.relist.orphans,
            "capacity": self.capacity.view(),
            "credentials_expire_at": self.credentials.expire_at,
        }


def _node_info(
    settings: Settings, store: Store, machine: Machine, clock: host.SystemClock
) -> NodeInfo:
    identity = store.identity
    now = to_timestamp(clock.now())
    return NodeInfo(
        node=identity.node,
        node_id=identity.node_id,
        boot_id=identity.boot_id,
        life=str(ULID()),
        epoch=identity.epoch,
        version=__version__,
        state="up",
        started_at=now,
        at=now,
        labels=settings.node.labels,
        take_over=settings.node.take_over,
        runtimes=list(machine.runtime.available),
        criu=machine.runtime.criu,
        cgroup=machine.delegated,
        kernel=host.kernel(),
        architecture=host.architecture(),
        cpus=os.cpu_count(),
        memory_bytes=host.memory_bytes(),
    )
