"""The periodic comparison of the machine with the store: events are not trusted alone.

What no event told is told now, with `event-missed` before it, and counted: each is a
bug. Core/relist.py decides what is a finding and when one is believed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

import structlog

from wharfside_agent.core.figures import RELIST_S, Histogram
from wharfside_agent.core.lifecycle import OVER, Input
from wharfside_agent.core.relist import Doubts, Finding, Kind, Known, Watched, compare
from wharfside_agent.ports.ground import Ground
from wharfside_agent.ports.process import Process
from wharfside_agent.ports.rows import EventDraft, ProcessRow
from wharfside_agent.ports.store import Store, Tx
from wharfside_agent.services.commands.lanes import Lanes
from wharfside_agent.services.life.containers import Containers
from wharfside_agent.services.life.exits import ExitTeller
from wharfside_agent.services.life.live import Live, LiveProcess, traced
from wharfside_protocol.event_facts import EventMissed, ExecAdded, Started
from wharfside_protocol.events import EventType
from wharfside_protocol.states import INIT, ContainerState, ProcessState

log = structlog.get_logger(__name__)

MISSED_KEY = "events_missed"
"""Meta key: how many since this store was new."""

ORPHANS_TOLD = 20
"""So many are named in `info`; the log has them all."""

LANE_S = 30.0
"""An adoption waits so long for the container's lane, then for the next look."""


class _NoLonger(Exception):
    """What was found is no longer so."""


class Relist:
    """`orphans` are those that live; `missed` counts what should have been told.

    `looks`: seconds that each look took, with what was to be done about it.
    """

    def __init__(
        self,
        store: Store,
        ground: Ground,
        containers: Containers,
        exits: ExitTeller,
        lanes: Lanes,
        *,
        every_s: float,
        patience_s: float,
    ) -> None:
        self._store = store
        self._ground = ground
        self._containers = containers
        self._exits = exits
        self._lanes = lanes
        self._every_s = every_s
        self._doubts = Doubts(patience_s)
        self.missed = 0
        self.looks = Histogram(RELIST_S)
        self.orphans: list[str] = []
        self._actions: Mapping[Kind, Callable[[Finding], Awaitable[None]]] = {
            Kind.EXIT_UNSEEN: self._exit_unseen,
            Kind.PAUSE_UNTOLD: self._freeze_untold,
            Kind.RESUME_UNTOLD: self._freeze_untold,
            Kind.RUNTIME_FORGOT: self._runtime_forgot,
            Kind.EXEC_UNKNOWN: self._adopt_exec,
            Kind.ORPHAN_DEAD: self._clear,
            Kind.ORPHAN_ALIVE: self._report,
        }

    def pace(self, every_s: float, patience_s: float) -> None:
        """From the next look on."""
        self._every_s = every_s
        self._doubts.patience_s = patience_s

    async def run(self) -> None:
        """Looks for ever; whatever one look fails of, the next one comes."""
        self.missed = int(await self._store.transact(lambda tx: tx.meta(MISSED_KEY)) or 0)
        while True:
            await asyncio.sleep(self._every_s)
            began = time.monotonic()
            try:
                await self.look()
            except Exception as error:
                log.error("relist-failed", exc_info=error)
            self.looks.observe(time.monotonic() - began)

    async def look(self) -> None:
        """One look, and what is to be done about what it believes."""
        known = [_known(live) for live in self._containers]
        asked = {(each.pid, each.start_time) for one in known for each in one.processes}
        names = frozenset(each.incarnation.lower() for each in known)
        survey = await asyncio.to_thread(self._ground.look, asked, names)
        # As it stands now: what was done during the look is no finding.
        findings = compare([_known(live) for live in self._containers], survey)
        believed = self._doubts.believed(findings, time.monotonic())
        alive = [each for each in believed if each.kind is Kind.ORPHAN_ALIVE]
        self.orphans = [
            name for name in self.orphans if name in {each.incarnation for each in alive}
        ]
        for finding in believed:
            await self._act(finding)

    async def _act(self, finding: Finding) -> None:
        try:
            await self._actions[finding.kind](finding)
        except _NoLonger:
            return
        except Exception as error:
            log.error("relist-action-failed", finding=finding.message, exc_info=error)

    def _live(self, finding: Finding) -> Live:
        live = self._containers.get(finding.container or "")
        same = live is not None and (live.row.incarnation, live.row.run) == (
            finding.incarnation,
            finding.run,
        )
        if live is None or not same:
            raise _NoLonger
        return live

    async def _exit_unseen(self, finding: Finding) -> None:
        live = self._live(finding)
        process = live.processes.get(finding.process)

        def still() -> None:
            if process is None or process.row.exit is not None or _in_hand(process):
                raise _NoLonger

        await self._tell_missed(live, finding, guard=still)
        assert process is not None
        self._exits.look_again(live, process)

    async def _freeze_untold(self, finding: Finding) -> None:
        live = self._live(finding)
        async with live.settling:
            frozen = await asyncio.to_thread(self._ground.frozen, live.row.incarnation)
            wanted = {
                (ContainerState.RUNNING, True): Input.PAUSE,
                (ContainerState.PAUSED, False): Input.RESUME,
            }
            input_ = wanted.get((live.row.state, bool(frozen)))
            if frozen is None or input_ is None:
                raise _NoLonger
            draft = self._draft(live, finding)
            await self._containers.advance(live, input_, before=[draft], also=self._count)
        self._counted(live, finding)

    async def _runtime_forgot(self, finding: Finding) -> None:
        live = self._live(finding)
        if live.row.forgotten_run != live.row.run:
            await self._tell_missed(live, finding, forgotten_run=live.row.run)

    async def _adopt_exec(self, finding: Finding) -> None:
        live = self._live(finding)
        ticket = await asyncio.wait_for(self._lanes.enter(live.row.name), LANE_S)
        try:
            await live.runtime.find_execs()
            for handle in live.runtime.processes():
                if handle.id not in live.processes:
                    await self._adopt(live, handle, finding)
        finally:
            ticket.release()

    async def _adopt(self, live: Live, handle: Process, finding: Finding) -> None:
        added = ProcessRow(
            incarnation=live.row.incarnation,
            run=live.row.run,
            process=handle.id,
            state=ProcessState.ADDED,
        )
        row = traced(added, handle, ProcessState.RUNNING)
        process = LiveProcess(row, handle)

        def runs() -> None:
            if live.row.state not in (ContainerState.RUNNING, ContainerState.PAUSED):
                raise _NoLonger

        drafts = [
            self._containers.draft(live.row, type_, data, process=handle.id)
            for type_, data in (
                (EventType.EVENT_MISSED, EventMissed(message=finding.message)),
                (EventType.EXEC_ADDED, ExecAdded(args=list(handle.spec.get("args", [])))),
                (EventType.EXEC_STARTED, Started(pid=handle.pid)),
            )
        ]

        def also(tx: Tx, _row: object) -> None:
            tx.save_process(row)
            _count_one(tx)

        await self._containers.commit(live, drafts, also=also, guard=runs)
        live.processes[handle.id] = process
        self._counted(live, finding)
        self._exits.follow_exec(live, process)

    async def _clear(self, finding: Finding) -> None:
        await asyncio.to_thread(self._ground.clear, finding.incarnation)
        log.warning("orphan-removed", incarnation=finding.incarnation, found=finding.what)

    async def _report(self, finding: Finding) -> None:
        if finding.incarnation not in self.orphans:
            log.warning("orphan-alive", incarnation=finding.incarnation, found=finding.what)
            self.orphans = [*self.orphans, finding.incarnation][:ORPHANS_TOLD]

    async def _tell_missed(
        self,
        live: Live,
        finding: Finding,
        *,
        guard: Callable[[], None] | None = None,
        forgotten_run: int | None = None,
    ) -> None:
        changes = {} if forgotten_run is None else {"forgotten_run": forgotten_run}
        draft = self._draft(live, finding)
        await self._containers.commit(live, [draft], changes=changes, also=self._count, guard=guard)
        self._counted(live, finding)

    def _draft(self, live: Live, finding: Finding) -> EventDraft:
        data = EventMissed(message=finding.message)
        process = None if finding.process == INIT else finding.process
        return self._containers.draft(live.row, EventType.EVENT_MISSED, data, process=process)

    @staticmethod
    def _count(tx: Tx, _row: object) -> None:
        _count_one(tx)

    def _counted(self, live: Live, finding: Finding) -> None:
        self.missed += 1
        log.error("event-missed", container=live.row.name, found=finding.message)


def _count_one(tx: Tx) -> None:
    tx.set_meta(MISSED_KEY, str(int(tx.meta(MISSED_KEY) or 0) + 1))


def _known(live: Live) -> Known:
    row = live.row
    watched = [
        Watched(
            each.row.process, each.row.pid or 0, each.row.start_time or 0, in_hand=_in_hand(each)
        )
        for each in live.processes.values()
        if each.row.pid and each.row.exit is None and each.handle is not None
    ]
    if row.state in OVER:  # refused at its start, or over: init tells no more
        watched = [each for each in watched if each.process != INIT]
    return Known(
        name=row.name,
        incarnation=row.incarnation,
        run=row.run,
        state=row.state,
        settled=_settled(live),
        processes=watched,
        names=frozenset(live.processes),
    )


def _settled(live: Live) -> bool:
    """Nothing is being done to it that the store is yet to tell."""
    busy = live.settling.locked() or live.commits.locked() or live.discarded
    return live.row.state is not ContainerState.CREATING and not busy


def _in_hand(process: LiveProcess) -> bool:
    """Its follower has seen the end, and works on telling it."""
    return process.seen_over and process.follower is not None and not process.follower.done()
