"""The first thing in a new life: what the store says, compared with what there is.

Containers are found again and followed; intents are finished or undone; what
another boot took away gets its one exit. Commands cut off get their error.
"""

from __future__ import annotations

import asyncio

import msgspec
import structlog

from wharfside_agent.core.lifecycle import OVER, Input
from wharfside_agent.core.migration import Target
from wharfside_agent.ports.clock import Clock
from wharfside_agent.ports.process import ProcessTrace
from wharfside_agent.ports.rows import ContainerRow, EventDraft, Intent, ProcessRow
from wharfside_agent.ports.runtime import Runtime
from wharfside_agent.ports.store import Store, Tx
from wharfside_agent.ports.watcher import ProcessIdentity
from wharfside_agent.services.commands.book import Commands
from wharfside_agent.services.life.births import Births
from wharfside_agent.services.life.containers import Containers
from wharfside_agent.services.life.endings import Endings
from wharfside_agent.services.life.exits import ExitTeller
from wharfside_agent.services.life.live import Live, LiveProcess
from wharfside_agent.services.life.restarts import Restarts
from wharfside_agent.services.recovery.unfinished import (
    CHECKPOINT,
    CREATE,
    DELETE,
    FREEZE,
    RERUN,
    START,
    STOP,
    UPDATE,
    Begun,
    Unfinished,
)
from wharfside_agent.services.recovery.unfinished_checkpoints import UnfinishedCheckpoints
from wharfside_agent.services.tasks import Tasks
from wharfside_protocol.errors import Canceled, NotFound
from wharfside_protocol.event_facts import Exited, Reattached, ReattachFailed
from wharfside_protocol.events import EventType
from wharfside_protocol.exits import ExitReason, ExitStatus, StatusSource
from wharfside_protocol.states import INIT, ContainerState, ProcessState
from wharfside_protocol.times import to_timestamp

log = structlog.get_logger(__name__)


SIDE_BY_SIDE = 16
"""Containers recovered at once: they share commits, and few runtime commands run at a time."""

UNSEEN = {
    ExitReason.NODE_REBOOT: "the node was booted anew; nobody saw the end",
    ExitReason.MONITOR_LOST: "the run's folder is gone: nothing is left that could tell",
}


class Recovery:
    """Runs once, before the first command is taken."""

    def __init__(
        self,
        store: Store,
        runtime: Runtime,
        containers: Containers,
        births: Births,
        exits: ExitTeller,
        endings: Endings,
        restarts: Restarts,
        commands: Commands,
        unfinished: Unfinished,
        checkpoints: UnfinishedCheckpoints,
        clock: Clock,
        tasks: Tasks,
    ) -> None:
        self._store = store
        self._runtime = runtime
        self._containers = containers
        self._births = births
        self._exits = exits
        self._endings = endings
        self._commands = commands
        self._checkpoints = checkpoints
        self._restarts = restarts
        self._unfinished = unfinished
        self._clock = clock
        self._tasks = tasks

    async def run(self) -> int:
        """Recovers every container; how many are there."""
        known = await self._store.transact(_everything)
        begun: dict[str, dict[tuple[str, str | None], Intent]] = {}
        intents = await self._store.transact(lambda tx: tx.intents())
        coming = await self._store.transact(lambda tx: tx.arrivals())
        keep = [row.id for row in coming if row.state is Target.EXPECTING]
        await self._checkpoints.clear_drafts(intents, keep)
        for intent in intents:
            begun.setdefault(intent.incarnation, {})[intent.op, intent.process] = intent
        lives = [self._known(row, processes) for row, processes in known]
        for start in range(0, len(lives), SIDE_BY_SIDE):
            some = lives[start : start + SIDE_BY_SIDE]
            await asyncio.gather(
                *(self._recover(live, begun.get(live.row.incarnation, {})) for live in some)
            )
        await self._commands.close_unfinished()
        return len(lives)

    def _known(self, row: ContainerRow, processes: list[ProcessRow]) -> Live:
        live = Live(row, {each.process: LiveProcess(each) for each in processes})
        live.processes.setdefault(INIT, LiveProcess(_unknown_init(row)))
        self._containers.add(live)
        return live

    async def _recover(self, live: Live, begun: Begun) -> None:
        try:
            if await self._was_restored(live, begun):
                return
            if live.row.state is ContainerState.CREATING and live.row.run > 1:
                await self._undo_rerun(live, begun)
            elif live.row.state is ContainerState.CREATING:
                await self._undo_create(live)
            elif self._store.identity.new_boot:
                await self._after_boot(live, begun)
            else:
                await self._find_again(live, begun)
            if DELETE in begun:
                await self._unfinished.finish_delete(live, begun[DELETE])
            elif live.row.state is ContainerState.STOPPED:
                self._tasks.start(self._after_its_end(live), f"after {live.row.name}'s exit")
        except Exception as error:
            # Whatever is wrong with one container, the agent starts, for all the others.
            log.error("not-recovered", container=live.row.name, exc_info=error)
            await self._containers.commit(live, [self._failed_draft(live, error)])

    async def _was_restored(self, live: Live, begun: Begun) -> bool:
        """A restore that the former life died too early to tell."""
        if live.row.state is not ContainerState.CREATING or self._store.identity.new_boot:
            return False
        intent = begun.get(RERUN if live.row.run > 1 else CREATE)
        return await self._checkpoints.find_restored(live, intent)

    async def _undo_create(self, live: Live) -> None:
        await self._runtime.undo(live.plan)
        message = "the agent died while it was created; what there was of it is removed"
        await self._births.tell_failed(live, Canceled(message, stage="create"))

    async def _undo_rerun(self, live: Live, begun: Begun) -> None:
        """Its last run is gone: it is stopped as that of a refused start is."""
        await self._runtime.undo(live.plan, keep_layer=True)
        await self._unfinished.undo_rerun(live, begun)

    async def _after_its_end(self, live: Live) -> None:
        await self._endings.after_exit(live)
        await self._restarts.resume(live)

    async def _after_boot(self, live: Live, begun: Begun) -> None:
        """Everything of the old boot is over; its layer and logs stay until the delete."""
        await self._settle_gone(live, begun)
        if live.row.state not in OVER:
            await self._tell_lost(live, Input.REBOOT, ExitReason.NODE_REBOOT)
        _resolve_known(live)

    async def _find_again(self, live: Live, begun: Begun) -> None:
        """Found and followed; or gone without a trace (its run folder was removed)."""
        try:
            await self._reattach(live, begun)
        except NotFound as error:
            await self._settle_gone(live, begun)
            if live.row.state in OVER or DELETE in begun:
                await self._unfinished.leave_stopped(live, begun)
                _resolve_known(live)
                return
            draft = self._failed_draft(live, error)
            await self._containers.commit(live, [draft])
            await self._tell_lost(live, Input.INIT_ENDED, ExitReason.MONITOR_LOST)
            _resolve_known(live)

    async def _settle_gone(self, live: Live, begun: Begun) -> None:
        if CHECKPOINT in begun and live.handle is None:
            await self._checkpoints.settle_gone(live, begun[CHECKPOINT])

    def _failed_draft(self, live: Live, error: Exception) -> EventDraft:
        data = ReattachFailed(message=str(error) or type(error).__name__)
        return self._containers.draft(live.row, EventType.REATTACH_FAILED, data)

    async def _tell_lost(self, live: Live, input_: Input, reason: ExitReason) -> None:
        """An end that nobody saw: told, with no code invented for it."""
        status = ExitStatus(
            reason=reason,
            status_source=StatusSource.NONE,
            status_known=False,
            unknown_because=UNSEEN[reason],
            exited_at=to_timestamp(self._clock.now()),
            time_known=False,
        )
        init = msgspec.structs.replace(live.init.row, state=ProcessState.EXITED, exit=status)
        await self._containers.advance(
            live,
            input_,
            Exited(**msgspec.structs.asdict(status)),
            changes={"exit": status},
            process=INIT,
            also=lambda tx, _row: tx.save_process(init),
        )
        live.init.row = init

    async def _reattach(self, live: Live, begun: Begun) -> None:
        traces = [_trace(each.row) for each in live.processes.values() if each.row.pid]
        live.handle = await self._runtime.reattach(live.plan, traces, live.row.oom_kills)
        for process in live.handle.processes():
            live.processes[process.id].handle = process
        await self._unfinished.settle_execs(live, begun)
        await self._unfinished.settle_signals(live, begun)
        _resolve_known(live)
        self._exits.let_go(live)
        self._follow_execs(live)
        if live.row.state in OVER:
            await self._unfinished.leave_stopped(live, begun)
            return
        if START in begun:
            refused = not await self._unfinished.settle_start(live, begun[START])
            if refused:
                return
        if FREEZE in begun:
            await self._unfinished.settle_freeze(live, begun[FREEZE])
        if UPDATE in begun:
            await self._unfinished.settle_update(live, begun[UPDATE])
        if CHECKPOINT in begun:
            await self._checkpoints.settle(live, begun[CHECKPOINT])
        await self._tell_reattached(live)
        # As in a delete that is not interrupted: no exit is told for what never ran.
        live.discarded = DELETE in begun and live.row.state is ContainerState.CREATED
        self._exits.follow(live)
        if CHECKPOINT not in begun:
            self._checkpoints.end(live)
        if STOP in begun:
            await self._unfinished.resume_stop(live, begun[STOP])

    def _follow_execs(self, live: Live) -> None:
        """Also those of a stopped one: its exit may have named some as pending."""
        for process in live.execs:
            if process.handle is not None and process.row.exit is None:
                self._exits.follow_exec(live, process)

    async def _tell_reattached(self, live: Live) -> None:
        data = Reattached(pid=live.row.pid or 0)
        draft = self._containers.draft(live.row, EventType.REATTACHED, data)
        await self._containers.commit(live, [draft])


def _everything(tx: Tx) -> list[tuple[ContainerRow, list[ProcessRow]]]:
    return [(row, tx.processes(row.incarnation, row.run)) for row in tx.containers()]


def _unknown_init(row: ContainerRow) -> ProcessRow:
    return ProcessRow(
        incarnation=row.incarnation, run=row.run, process=INIT, state=ProcessState.ADDED
    )


def _trace(row: ProcessRow) -> ProcessTrace:
    return ProcessTrace(
        process=row.process,
        identity=ProcessIdentity(row.pid or 0, row.start_time or 0),
        monitor=ProcessIdentity(row.monitor_pid or 0, row.monitor_start_time or 0),
    )


def _resolve_known(live: Live) -> None:
    """Nobody waits for what is known, nor for what will never be: a start that was refused."""
    if live.row.state in OVER and live.row.exit is None:
        live.init.ended.cancel()
    for process in live.processes.values():
        if process.row.exit is not None and not process.ended.done():
            process.ended.set_result(process.row.exit)
