"""The top floor: how commands come in, and what they are given."""

from __future__ import annotations

from functools import cached_property

from wharfside_agent import host
from wharfside_agent.archive.archives import TarArchives
from wharfside_agent.bus.mailbox import NatsMailbox
from wharfside_agent.composition.moves import Moves
from wharfside_agent.core.placement import Places
from wharfside_agent.core.trust import Trust
from wharfside_agent.handlers.node import Node
from wharfside_agent.handlers.registry import HANDLERS
from wharfside_agent.machine import Machine
from wharfside_agent.ports.store import Store
from wharfside_agent.services.checkpoints.files import CheckpointFiles
from wharfside_agent.services.commands.acceptance import Acceptance
from wharfside_agent.services.commands.dispatcher import Dispatcher
from wharfside_agent.services.commands.intake import Intake
from wharfside_agent.services.commands.mailroom import Mailroom
from wharfside_agent.services.commands.runner import Runner
from wharfside_agent.services.insistence import Insistence
from wharfside_agent.services.journal import Journal
from wharfside_agent.services.life.live import Live
from wharfside_agent.services.streams.attachments import Attachments
from wharfside_agent.services.streams.sessions import Sessions
from wharfside_agent.settings import Settings


class Parts(Moves):
    """Every part of one life of the agent; two that need each other are tied here."""

    def __init__(
        self,
        settings: Settings,
        places: Places,
        clock: host.SystemClock,
        store: Store,
        machine: Machine,
        journal: Journal,
    ) -> None:
        super().__init__(settings, places, clock, store, machine, journal)
        self._tie()

    def _tie(self) -> None:
        self.commands.admit_by(self.admission.check)
        self.commands.audit_by(self.audit.keep)
        self.intake.on_denied(self.audit.denied)
        self.exits.then(self._after_exit)
        self.endings.before_removal(self.shipping.finish)
        if self.settings.runtime.on_monitor_lost == "stop":
            self.exits.at_monitor_lost(self.endings.after_monitor)
        self.drain.on_change(self.presence.changed)
        self.publisher.on_idle(self._told)
        self.presence.on_mailbox(lambda: self.mailroom.state)

    async def _after_exit(self, live: Live) -> None:
        await self.endings.after_exit(live)
        await self.restarts.after_exit(live)

    def _told(self, lane: str) -> None:
        self.projections.acked(lane)
        self.presence.changed()

    @cached_property
    def attachments(self) -> Attachments:
        return Attachments(self.containers, self.machine.logs, self.tasks)

    @cached_property
    def sessions(self) -> Sessions:
        return Sessions(
            self.name,
            self.bus,
            self.subjects,
            self.tasks,
            most=self.settings.limits.sessions,
            window=self.settings.sessions.window,
            idle_s=self.settings.sessions.idle_s,
        )

    @cached_property
    def archives(self) -> TarArchives:
        settings = self.settings
        return TarArchives(settings.limits.archives, settings.disk.keep_free_mib * 1024 * 1024)

    @cached_property
    def node(self) -> Node:
        return Node(
            store=self.store,
            rules=self.machine.rules,
            capacity=self.capacity,
            clock=self.clock,
            runtime=self.machine.runtime,
            containers=self.containers,
            births=self.births,
            exits=self.exits,
            endings=self.endings,
            starts=self.starts,
            restarts=self.restarts,
            heard=self.heard,
            commands=self.commands,
            intake=self.intake,
            journal=self.journal,
            drain=self.drain,
            sessions=self.sessions,
            checkpoints=self.checkpoints,
            restores=self.restores,
            shelf=self.shelf,
            checkpoint_files=CheckpointFiles(
                self.images, self.shelf, self.archives, self.machine.runtime, self.tasks
            ),
            facts=self.facts,
            departures=self.departures,
            arrivals=self.arrivals,
            attachments=self.attachments,
            archives=self.archives,
            logs=self.machine.logs,
            going_down=self.going_down,
            projections=self.projections,
            snapshots=self.snapshots,
            info=self.presence.info,
            machine_usage=self.machine.usage,
        )

    @cached_property
    def runner(self) -> Runner:
        return Runner(
            self.commands,
            self.lanes,
            self.clock,
            self.tasks,
            self.journal,
            HANDLERS,
            self.node,
            lambda: self.drain.draining,
        )

    @cached_property
    def intake(self) -> Intake:
        trust = self.trust_of(self.settings)
        return Intake(self.name, self.commands, HANDLERS, self.machine.rules, trust)

    def trust_of(self, settings: Settings) -> Trust:
        return settings.make_trust(self.store.identity.remembers_since)

    @cached_property
    def dispatcher(self) -> Dispatcher:
        return Dispatcher(
            self.name,
            self.subjects,
            self.commands,
            self.intake,
            self.runner,
            self.audit,
            self.command_figures,
            self.machine.runtime.expect,
        )

    @cached_property
    def mailbox(self) -> NatsMailbox:
        return NatsMailbox(self.bus, self.name)

    @cached_property
    def mailroom(self) -> Mailroom:
        return Mailroom(
            self.mailbox,
            Acceptance(self.name, self.subjects, self.store, self.commands, self.intake),
            self.intake,
            self.commands,
            self.runner,
            self.store,
            Insistence(self.bus),
            self.journal,
            self.settings.limits.mailbox,
            self.admission.shortage,
            self.presence.changed,
            self.command_figures,
        )
