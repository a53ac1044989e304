"""Lets a container's init run: its first run, and every further one, by command or policy.

A further run is made anew from the same spec, with the writable layer and the logs of
those before it. What is left of the last run is gone, and told, before `run` is raised;
`run` is raised, and journalled, before the runtime hears of it.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import Any

import msgspec

from wharfside_agent.core.journal import Step
from wharfside_agent.core.lifecycle import Input
from wharfside_agent.errors import told
from wharfside_agent.ports.clock import Clock
from wharfside_agent.ports.rows import ContainerRow, Intent
from wharfside_agent.ports.runtime import Runtime
from wharfside_agent.ports.store import Store, Tx
from wharfside_agent.services.journal import Journal
from wharfside_agent.services.life.births import new_init
from wharfside_agent.services.life.containers import Also, Containers
from wharfside_agent.services.life.exits import ExitTeller
from wharfside_agent.services.life.live import Live, LiveProcess, traced
from wharfside_protocol.errors import Internal, WharfsideError
from wharfside_protocol.event_facts import Failed, Started
from wharfside_protocol.states import INIT, ProcessState

EXECS_OVER_S = 20.0
"""The execs of a run are killed with it; their exits are told within this, or something hangs."""


class Starts:
    """Shared by the ops start and run, by restart policies and by recovery."""

    def __init__(
        self,
        store: Store,
        containers: Containers,
        runtime: Runtime,
        exits: ExitTeller,
        clock: Clock,
        journal: Journal,
        bundle_of: Callable[[str, int], str],
    ) -> None:
        self._store = store
        self._containers = containers
        self._runtime = runtime
        self._exits = exits
        self._clock = clock
        self._journal = journal
        self._bundle_of = bundle_of

    def intent(self, row: ContainerRow, cause: str | None, op: str = "start") -> Intent:
        """`run` writes it in the transaction that tells `created`."""
        step = Step.START_INTENDED if op == "start" else Step.RERUN_INTENDED
        return Intent(
            incarnation=row.incarnation,
            op=op,
            step=step,
            begun_at=self._clock.now(),
            command=cause,
        )

    async def first(self, live: Live, cause: str | None, also: Also) -> ContainerRow:
        """The start of a created one; `also` joins the transaction that tells `started`.

        Raises:
            RuntimeFailed: told as `start-failed`; the container is stopped.
        """
        await self._store.transact(lambda tx: tx.save_intent(self.intent(live.row, cause)))
        return await self.let_run(live, cause, also)

    async def again(
        self,
        live: Live,
        cause: str | None,
        also: Also,
        *,
        raising: dict[str, Any] | None = None,
    ) -> ContainerRow:
        """A stopped one's next run; `raising` changes its row together with `run`.

        Raises:
            RuntimeFailed: the last run could not be removed: nothing was changed; or the next
                one was refused: told as its `start-failed`, and the container is stopped.
            Invalid, Denied, NotFound, Unsupported: refused so, and told the same way.
            Internal: an exec of the last run does not end; nothing was changed.
        """
        await self.clear(live, self.intent(live.row, cause, "rerun"))
        await self.raise_run(live, raising or {})
        await self._recreate(live, cause)
        return await self.let_run(live, cause, also)

    async def let_run(self, live: Live, cause: str | None, also: Also) -> ContainerRow:
        """The start itself, its intent being journalled. Raises RuntimeFailed as `first`."""
        self._journal.reached(Step.START_INTENDED)
        async with live.settling:
            started_at = self._clock.now()
            try:
                await live.runtime.start()
            except Exception as error:
                await self._tell_refused(live, cause, told(error))
                raise
            self._journal.reached(Step.START_DONE)
            row = await self.tell_started(live, cause, started_at, also)
        self._journal.reached(Step.START_COMMITTED)
        return row

    async def tell_started(
        self, live: Live, cause: str | None, started_at: int, also: Also
    ) -> ContainerRow:
        """`started`, and the end of its intent and of a restart that was due."""
        init = msgspec.structs.replace(
            live.init.row, state=ProcessState.RUNNING, started_at=started_at
        )
        changes: dict[str, Any] = {"started_at": started_at}
        if live.row.restart is not None:
            changes["restart"] = msgspec.structs.replace(live.row.restart, due_at=None)

        def close(tx: Tx, row: ContainerRow) -> None:
            tx.save_process(init)
            tx.close_intent(row.incarnation, "start")
            also(tx, row)

        row = await self._containers.advance(
            live,
            Input.START,
            Started(pid=live.row.pid or 0),
            changes=changes,
            occurred_at=started_at,
            cause=cause,
            also=close,
        )
        live.init.row = init
        return row

    async def _tell_refused(self, live: Live, cause: str | None, error: WharfsideError) -> None:
        """The container is stopped, and what waits in its init is killed; no exit is told."""
        await self._containers.advance(
            live,
            Input.START_REFUSED,
            Failed(error=error.to_body()),
            cause=cause,
            also=lambda tx, row: tx.close_intent(row.incarnation, "start"),
        )
        live.init.ended.cancel()
        live.runtime.signal_all(signal.SIGKILL)

    async def clear(self, live: Live, intent: Intent) -> None:
        """Takes the last run out of the runtime; its layer, logs and records stay.

        Raises:
            RuntimeFailed, Internal: as `again`; nothing was changed.
        """
        await self._store.transact(lambda tx: tx.save_intent(intent))
        self._journal.reached(Step.RERUN_INTENDED)
        try:
            if live.handle is not None:
                await live.handle.delete(keep_layer=True)
            else:
                await self._runtime.undo(live.plan, keep_layer=True)
            await _execs_over(live)
        except Exception:
            await self._store.transact(lambda tx: tx.close_intent(live.row.incarnation, "rerun"))
            raise
        self._journal.reached(Step.RERUN_CLEARED)

    async def raise_run(
        self, live: Live, raising: dict[str, Any], input_: Input = Input.START
    ) -> None:
        """The next run begins: from here on it is `creating`."""
        row = live.row
        run, now = row.run + 1, self._clock.now()

        def keep(tx: Tx, raised: ContainerRow) -> None:
            tx.retire_run(row.incarnation, row.run, now)
            tx.save_process(new_init(raised))
            tx.close_intents(raised.incarnation, but="rerun")

        changes = {
            "run": run,
            "bundle": self._bundle_of(row.incarnation, run),
            "started_at": None,
            "pid": None,
            "end_asked": None,
            "oom_kills": 0,
            "exit": None,
        }
        await self._containers.advance(live, input_, changes=changes | raising, also=keep)
        if live.handle is not None:
            live.handle.close()
        live.handle = None
        live.processes = {INIT: LiveProcess(new_init(live.row))}
        self._journal.reached(Step.RERUN_RAISED)

    async def _recreate(self, live: Live, cause: str | None) -> None:
        async with live.settling:
            try:
                live.handle = await self._runtime.create(live.plan)
            except Exception as error:
                await self.tell_not_created(live, cause, told(error))
                raise
            self._journal.reached(Step.RERUN_DONE)
            await self._created(live, cause)
        self._journal.reached(Step.RERUN_COMMITTED)
        self._exits.follow(live)

    async def _created(self, live: Live, cause: str | None) -> None:
        """No event: `created` is told once an incarnation. The start is intended with it."""
        handle = live.runtime
        live.init.handle = handle.init
        live.init.row = traced(live.init.row, handle.init, ProcessState.CREATED)
        start = self.intent(live.row, cause)

        def keep(tx: Tx, row: ContainerRow) -> None:
            tx.save_process(live.init.row)
            tx.close_intent(row.incarnation, "rerun")
            tx.save_intent(start)

        await self._containers.advance(
            live, Input.CREATED_AGAIN, changes={"pid": handle.pid}, also=keep
        )

    async def tell_not_created(self, live: Live, cause: str | None, error: WharfsideError) -> None:
        """The next run never came to be: the container is stopped again, and nobody waits."""
        await self._containers.advance(
            live,
            Input.CREATE_REFUSED,
            Failed(error=error.to_body()),
            cause=cause,
            also=lambda tx, row: tx.close_intent(row.incarnation, "rerun"),
        )
        live.init.ended.cancel()


async def _execs_over(live: Live) -> None:
    """Nothing of a run is told once the next one has begun."""
    waiting = [process.ended for process in live.execs if not process.ended.done()]
    if not waiting:
        return
    _done, late = await asyncio.wait(waiting, timeout=EXECS_OVER_S)
    if late:
        raise Internal(
            f"{len(late)} execs of {live.row.name}'s last run are not over "
            f"{EXECS_OVER_S:.0f} s after they were killed: look at its processes on the node",
            stage="running",
        )
