"""What every other part stands on: store, bus, containers, lanes, commands."""

from __future__ import annotations

import asyncio
from functools import cached_property
from pathlib import Path

from wharfside_agent import host
from wharfside_agent.bus.connection import NatsBus
from wharfside_agent.composition.bus import make_bus
from wharfside_agent.core.placement import Places, RunPlace, container_cgroup
from wharfside_agent.machine import Machine
from wharfside_agent.ports.store import Store
from wharfside_agent.services.commands.admission import Admission
from wharfside_agent.services.commands.audit import Audit
from wharfside_agent.services.commands.book import Commands
from wharfside_agent.services.commands.figures import CommandFigures
from wharfside_agent.services.commands.lanes import Lanes
from wharfside_agent.services.journal import Journal
from wharfside_agent.services.last_heard import LastHeard
from wharfside_agent.services.life.containers import Containers
from wharfside_agent.services.loop_watch import LoopWatch
from wharfside_agent.services.tasks import Tasks
from wharfside_agent.settings import Settings
from wharfside_protocol.subjects import Subjects


class Foundation:
    """Each part is made when it is first asked for, and once.

    A part names the others that it is given; nobody keeps an order by hand.
    """

    def __init__(
        self,
        settings: Settings,
        places: Places,
        clock: host.SystemClock,
        store: Store,
        machine: Machine,
        journal: Journal,
    ) -> None:
        self.settings = settings
        self.places = places
        self.clock = clock
        self.store = store
        self.machine = machine
        self.journal = journal
        self.name = settings.node.name
        self.subjects = Subjects(settings.nats.prefix)
        self.tasks = Tasks()
        self.loop_watch = LoopWatch()
        self.command_figures = CommandFigures()
        self.recovered = False
        """What ran before is found again: commands are taken from then on."""
        self.going_down: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def bundle_of(self, incarnation: str, run: int) -> str:
        return str(RunPlace(self.places, incarnation, run).bundle)

    def layer_of(self, incarnation: str) -> Path:
        return RunPlace(self.places, incarnation, 1).layer

    def cgroup_of(self, incarnation: str) -> str:
        return container_cgroup(self.machine.delegated, incarnation)

    @cached_property
    def containers(self) -> Containers:
        return Containers(self.store, self.clock)

    @cached_property
    def lanes(self) -> Lanes:
        return Lanes(self.settings.limits.lanes, self.settings.limits.lane_depth)

    @cached_property
    def commands(self) -> Commands:
        return Commands(self.store, self.clock, self.name)

    @cached_property
    def audit(self) -> Audit:
        return Audit(self.store, self.clock, self.journal, self.settings.audit.events)

    @cached_property
    def admission(self) -> Admission:
        return Admission(self.store)

    @cached_property
    def heard(self) -> LastHeard:
        return LastHeard(self.store, self.clock)

    @cached_property
    def bus(self) -> NatsBus:
        return make_bus(self.settings, self.store.identity.node_id)
