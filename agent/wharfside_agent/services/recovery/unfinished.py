"""Work that a former life had begun: finished or undone, and its command answered.

What is finished here is a success of the command that asked for it: whoever repeats
it under its id gets that, not the news that an agent died.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

import msgspec
import structlog

from wharfside_agent.core import lifecycle
from wharfside_agent.core.journal import SIGNAL
from wharfside_agent.core.lifecycle import Input
from wharfside_agent.core.signals import signal_number
from wharfside_agent.errors import told
from wharfside_agent.ports.clock import Clock
from wharfside_agent.ports.process import Process
from wharfside_agent.ports.rows import ContainerRow, Intent
from wharfside_agent.ports.store import Tx
from wharfside_agent.services.commands.book import Commands
from wharfside_agent.services.commands.call import Call
from wharfside_agent.services.life.containers import Also, Containers
from wharfside_agent.services.life.endings import Endings
from wharfside_agent.services.life.live import Live, LiveProcess, traced
from wharfside_agent.services.life.starts import Starts
from wharfside_agent.services.life.updates import tell_updated, with_limits
from wharfside_agent.services.tasks import Tasks
from wharfside_agent.services.views import create_value, standing, state_value
from wharfside_protocol.commands import DeleteValue, WaitValue
from wharfside_protocol.errors import Canceled, ErrorBody, ErrorCode, NotFound, WharfsideError
from wharfside_protocol.event_facts import Failed, Started
from wharfside_protocol.events import EventType
from wharfside_protocol.states import INIT, ContainerState, ProcessState

log = structlog.get_logger(__name__)

Begun = Mapping[tuple[str, str | None], Intent]
"""What was begun on one container, by op and process."""

CREATE, RERUN, CHECKPOINT = ("create", None), ("rerun", None), ("checkpoint", None)
START, FREEZE, STOP, DELETE = ("start", None), ("freeze", None), ("stop", None), ("delete", None)
UPDATE = ("update", None)


def _settling(call: Call | None) -> Also:
    """The result of a start or run that is finished here."""

    def settle(tx: Tx, row: ContainerRow) -> None:
        if call is not None:
            ran = call.command.op == "run"
            call.settle(tx, create_value(row) if ran else state_value(row))

    return settle


class Unfinished:
    """The half of recovery that acts; the containers have been found again before."""

    def __init__(
        self,
        containers: Containers,
        endings: Endings,
        starts: Starts,
        commands: Commands,
        clock: Clock,
        tasks: Tasks,
    ) -> None:
        self._containers = containers
        self._endings = endings
        self._starts = starts
        self._commands = commands
        self._answers = commands.answers
        self._clock = clock
        self._tasks = tasks

    async def settle_start(self, live: Live, intent: Intent) -> bool:
        """Told if the user's program ever ran, else undone: it may be started anew.

        A further run was not told of yet, so its start is finished instead; False where
        that is refused, and the container stopped.
        """
        waits = await live.runtime.state() in ("created", "creating")
        if waits and live.row.run > 1:
            return await self._start_now(live, intent)
        if waits:
            await self._containers.commit(
                live, also=lambda tx, row: tx.close_intent(row.incarnation, "start")
            )
            return True
        async with self._answering(await self._commands.adopt(intent.command)) as call:
            await self._tell_started(live, intent, call)
        return True

    async def _start_now(self, live: Live, intent: Intent) -> bool:
        call = await self._commands.adopt(intent.command)
        try:
            async with self._answering(call):
                await self._let_run(live, intent, call)
        except WharfsideError as error:
            log.warning("not-started", container=live.row.name, error=str(error))
            return False
        return True

    async def _let_run(self, live: Live, intent: Intent, call: Call | None) -> None:
        try:
            await self._starts.let_run(live, intent.command, _settling(call))
        except Exception as error:
            raise told(error) from error

    async def _tell_started(self, live: Live, intent: Intent, call: Call | None) -> None:
        began = intent.begun_at or live.row.created_at
        await self._starts.tell_started(live, intent.command, began, _settling(call))

    async def undo_rerun(self, live: Live, begun: Begun) -> None:
        """The next run's folder is gone again; whoever asked for it gets `canceled`."""
        message = "the agent died while this run was made; what there was of it is removed"
        error = Canceled(message, stage="create")
        cause = begun[RERUN].command if RERUN in begun else None
        await self._starts.tell_not_created(live, cause, error)

    async def leave_stopped(self, live: Live, begun: Begun) -> None:
        """A further run that was only intended: it stays as it was."""
        if RERUN in begun:
            await self._containers.commit(
                live, also=lambda tx, row: tx.close_intent(row.incarnation, "rerun")
            )

    async def settle_freeze(self, live: Live, intent: Intent) -> None:
        """A pause or resume was begun: the runtime says whether it came to pass."""
        state = await live.runtime.state()
        was = "paused" if live.row.state is ContainerState.PAUSED else "running"

        def close(tx: Tx, row: ContainerRow) -> None:
            tx.close_intent(row.incarnation, "freeze")

        if state == was or state not in ("paused", "running"):
            await self._containers.commit(live, also=close)
            return
        async with self._answering(await self._commands.adopt(intent.command)) as call:

            def settle(tx: Tx, row: ContainerRow) -> None:
                close(tx, row)
                if call is not None:
                    call.settle(tx, state_value(row))

            done = Input.PAUSE if state == "paused" else Input.RESUME
            await self._containers.advance(live, done, cause=intent.command, also=settle)

    async def settle_signals(self, live: Live, begun: Begun) -> None:
        """Nobody knows whether they were sent: they are, perhaps a second time."""
        for (op, name), intent in begun.items():
            if op.startswith(SIGNAL):
                process = live.processes.get(name or INIT)
                if process is not None and process.handle is not None:
                    with suppress(NotFound):
                        process.handle.signal(intent.signal or 0)
                await self._settle_signal(live, intent)

    async def _settle_signal(self, live: Live, intent: Intent) -> None:
        async with self._answering(await self._commands.adopt(intent.command)) as call:

            def settle(tx: Tx, row: ContainerRow) -> None:
                tx.close_intent(intent.incarnation, intent.op, intent.process)
                if call is not None:
                    call.settle(tx, state_value(row))

            await self._containers.commit(live, also=settle)

    async def settle_update(self, live: Live, intent: Intent) -> None:
        """Done again: the runtime may or may not have the limits, and to give them twice is once.

        One that is over, or where the runtime refuses, keeps those that were told.
        """
        over = (live.row.state, Input.UPDATE) not in lifecycle.TABLE
        try:
            async with self._answering(await self._commands.adopt(intent.command)) as call:
                if over or intent.limits is None:
                    advice = "it ended, or the node's agent did, before its limits were changed"
                    raise Canceled(advice, stage="running")
                await live.runtime.update(intent.limits)

                def settle(tx: Tx, row: ContainerRow) -> None:
                    if call is not None:
                        call.settle(tx, state_value(row))

                limits = with_limits(live.row.spec.limits, intent.limits)
                await tell_updated(self._containers, live, limits, intent.command, settle)
        except WharfsideError as error:
            log.warning("update-not-finished", container=live.row.name, error=error.message)
            await self._containers.commit(
                live, also=lambda tx, row: tx.close_intent(row.incarnation, "update")
            )

    async def settle_execs(self, live: Live, begun: Begun) -> None:
        """Told if a process is found; else, as far as anyone can tell, it never ran."""
        for process in list(live.execs):
            intent = begun.get(("exec", process.row.process))
            if intent is None:
                if process.row.pid is None:  # refused, and told so, in a former life
                    del live.processes[process.row.process]
            elif process.handle is not None:
                await self._tell_exec_found(live, process, process.handle, intent)
            else:
                await self._tell_exec_failed(live, process, intent)

    async def _tell_exec_found(
        self, live: Live, process: LiveProcess, handle: Process, intent: Intent
    ) -> None:
        began = intent.begun_at or live.row.created_at
        running = msgspec.structs.replace(process.row, started_at=began)
        row = traced(running, handle, ProcessState.RUNNING)
        draft = self._containers.draft(
            live.row,
            EventType.EXEC_STARTED,
            Started(pid=handle.pid),
            process=row.process,
            occurred_at=began,
            cause=intent.command,
        )

        def close(tx: Tx, container: ContainerRow) -> None:
            tx.save_process(row)
            tx.close_intent(container.incarnation, "exec", row.process)

        await self._containers.commit(live, [draft], also=close)
        process.row = row

    async def _tell_exec_failed(self, live: Live, process: LiveProcess, intent: Intent) -> None:
        name = process.row.process
        message = "the agent died while this exec was begun"
        error = ErrorBody(code=ErrorCode.CANCELED, message=message, stage="exec")
        row = msgspec.structs.replace(process.row, state=ProcessState.EXITED)
        draft = self._containers.draft(
            live.row,
            EventType.START_FAILED,
            Failed(error=error),
            process=name,
            cause=intent.command,
        )

        def close(tx: Tx, container: ContainerRow) -> None:
            tx.save_process(row)
            tx.close_intent(container.incarnation, "exec", name)

        await self._containers.commit(live, [draft], also=close)
        del live.processes[name]

    async def resume_stop(self, live: Live, intent: Intent) -> None:
        """Nobody knows whether the signal was sent: it is sent again, and the grace begins anew.

        Its command is adopted before this returns; the rest goes on by itself.
        """
        call = await self._commands.adopt(intent.command)
        self._tasks.start(self._finish_stop(live, intent, call), f"stop of {live.row.name}")

    async def _finish_stop(self, live: Live, intent: Intent, call: Call | None) -> None:
        spec = live.row.spec
        number = intent.signal or signal_number(spec.stop_signal)
        grace_s = spec.grace_s if intent.grace_s is None else intent.grace_s
        async with self._answering(call):
            await self._endings.ask_to_stop(live, number, grace_s, intent.command)
            status = await self._endings.see_to_the_end(live, grace_s)
            if call is not None:
                value = WaitValue(**standing(live.row), exit=status)
                call.result = self._answers.success(call, value)

    async def finish_delete(self, live: Live, intent: Intent) -> None:
        async with self._answering(await self._commands.adopt(intent.command)) as call:

            def settle(tx: Tx, row: ContainerRow) -> None:
                if call is not None:
                    call.settle(tx, DeleteValue(**standing(row), exit=row.exit))

            await self._endings.force(live, intent.command)
            # no other delete begins while it moves
            moved = live.row.state is ContainerState.MIGRATING
            await self._endings.remove(live, cause=intent.command, also=settle, moved=moved)

    @asynccontextmanager
    async def _answering(self, call: Call | None) -> AsyncIterator[Call | None]:
        """An adopted command gets the error that ends the work, or the result that it was given."""
        try:
            yield call
        except WharfsideError as error:
            if call is not None:
                await self._commands.finish(call, self._answers.failure(call, error.to_body()))
            raise
        if call is not None and call.result is not None:
            await self._commands.finish(call, call.result)
