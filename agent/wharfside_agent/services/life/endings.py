"""How a container is brought to its end: stopped with grace, killed, removed."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

import msgspec
import structlog

from wharfside_agent.core.journal import Step
from wharfside_agent.core.lifecycle import Input, advance
from wharfside_agent.core.signals import signal_number
from wharfside_agent.ports.clock import Clock
from wharfside_agent.ports.rows import Intent, ProcessRow
from wharfside_agent.ports.runtime import Runtime
from wharfside_agent.ports.store import Tx
from wharfside_agent.services.commands.lanes import Lanes
from wharfside_agent.services.journal import Journal
from wharfside_agent.services.life.backoff import backoff_ended
from wharfside_agent.services.life.containers import Also, Containers
from wharfside_agent.services.life.live import Live
from wharfside_protocol.commands import CAPTURE_BYTES
from wharfside_protocol.errors import Internal, NotFound, RuntimeFailed
from wharfside_protocol.event_facts import Stopping, WhyStopping
from wharfside_protocol.event_facts import WhyNotRestarting as Why
from wharfside_protocol.exits import ExitReason, ExitStatus
from wharfside_protocol.states import INIT, ContainerState

log = structlog.get_logger(__name__)

STOPPED_FOR: Mapping[WhyStopping, tuple[ExitReason, Why | None]] = MappingProxyType(
    {
        WhyStopping.COMMAND: (ExitReason.STOP, Why.STOPPED),
        WhyStopping.DISCONNECTED: (ExitReason.STOP, Why.DISCONNECTED),
        WhyStopping.MONITOR_LOST: (ExitReason.MONITOR_LOST, None),
    }
)
"""The exit's reason, and why no policy starts it again (None: the policy decides)."""

KILL_WAIT_S = 20.0
"""After SIGKILL an end is told within this, or something is wrong (a hung kernel, disk)."""


class Endings:
    """Shared by the ops stop and delete, by auto-remove and by recovery."""

    def __init__(
        self, containers: Containers, runtime: Runtime, lanes: Lanes, clock: Clock, journal: Journal
    ) -> None:
        self._containers = containers
        self._runtime = runtime
        self._lanes = lanes
        self._clock = clock
        self._journal = journal
        self._before_removal: Callable[[Live], Awaitable[None]] = _nothing

    async def ask_to_stop(
        self,
        live: Live,
        number: int,
        grace_s: float,
        cause: str | None,
        why: WhyStopping = WhyStopping.COMMAND,
    ) -> None:
        """Tells `stopping`, sends the signal, thaws a paused one. Holds no wait."""
        if live.row.end_asked is None:
            reason, held = STOPPED_FOR[why]
            intent = Intent(
                incarnation=live.row.incarnation,
                op="stop",
                step=Step.STOP_INTENDED,
                begun_at=self._clock.now(),
                command=cause,
                signal=number,
                grace_s=grace_s,
            )
            await self._containers.advance(
                live,
                Input.STOP,
                Stopping(signal=number, grace_s=grace_s, why=why),
                changes={"end_asked": str(reason), "held": held},
                cause=cause,
                also=lambda tx, _row: tx.save_intent(intent),
            )
        self._journal.reached(Step.STOP_INTENDED)
        self._signal_init(live, number)
        await self._thaw(live, cause)
        self._journal.reached(Step.STOP_SIGNALED)

    async def _thaw(self, live: Live, cause: str | None) -> None:
        """Settling: once thawed it may end at once, and `resumed` comes before that exit."""
        async with live.settling:
            if live.row.state is ContainerState.PAUSED and await _thawed(live):
                await self._containers.advance(live, Input.RESUME, cause=cause)

    async def see_to_the_end(self, live: Live, grace_s: float) -> ExitStatus:
        """Waits `grace_s` for the end, then kills, then waits for what that does.

        Raises:
            Internal: SIGKILL did not end it within KILL_WAIT_S.
        """
        init = live.init
        try:
            return await asyncio.wait_for(asyncio.shield(init.ended), grace_s)
        except TimeoutError:
            # never the next run, whose start might have come in between
            return await (self.kill(live) if live.init is init else asyncio.shield(init.ended))

    async def kill(self, live: Live) -> ExitStatus:
        """SIGKILL to every process, frozen or not, and the exit that follows.

        Raises:
            Internal: it did not end within KILL_WAIT_S.
        """
        live.runtime.signal_all(signal.SIGKILL)
        try:
            return await asyncio.wait_for(asyncio.shield(live.init.ended), KILL_WAIT_S)
        except TimeoutError as error:
            raise Internal(
                f"{live.row.name} is not over {KILL_WAIT_S:.0f} s after SIGKILL: "
                "look at its processes on the node (state D?), then try again",
                stage="running",
            ) from error

    async def force(self, live: Live, cause: str | None) -> None:
        """Kills what lives, so that it can be deleted."""
        if live.row.state in (ContainerState.RUNNING, ContainerState.PAUSED):
            if live.row.end_asked is None:
                changes = {"end_asked": str(ExitReason.KILL), "held": Why.DELETED}
                await self._containers.commit(live, changes=changes)
            await self.kill(live)

    def before_removal(self, act: Callable[[Live], Awaitable[None]]) -> None:
        """`act` is done, within bounds of its own, while the container's logs are still there."""
        self._before_removal = act

    async def remove(
        self,
        live: Live,
        *,
        cause: str | None = None,
        also: Also | None = None,
        moved: bool = False,
    ) -> None:
        """Deletes a created or stopped container: runtime, mounts, folders, then the name.

        Raises:
            WrongState: it is neither.
            RuntimeFailed: something could not be removed; the container stays.
        """
        input_ = Input.MOVED if moved else Input.DELETE
        advance(live.row.state, input_, live.row.name)
        live.discarded = live.row.state is ContainerState.CREATED
        kept = await self._output_to_keep(live)
        await self._before_removal(live)
        await self._intend_removal(live, kept, cause)
        self._journal.reached(Step.DELETE_INTENDED)
        if live.handle is not None:
            await live.handle.delete()
        else:
            await self._runtime.undo(live.plan)
        await self._execs_told(live)
        self._journal.reached(Step.DELETE_DONE)
        await self._tell_deleted(live, input_, cause, also)
        self._journal.reached(Step.DELETE_COMMITTED)

    async def _intend_removal(self, live: Live, kept: ProcessRow | None, cause: str | None) -> None:
        """Journals it, with what is kept of the output; a policy that waited rests."""
        intent = Intent(
            incarnation=live.row.incarnation,
            op="delete",
            step=Step.DELETE_INTENDED,
            begun_at=self._clock.now(),
            command=cause,
        )

        def intend(tx: Tx, _row: object) -> None:
            tx.save_intent(intent)
            if kept is not None:
                tx.save_process(kept)

        drafts, changes = backoff_ended(self._containers, live.row, Why.DELETED, cause)
        await self._containers.commit(live, drafts, changes=changes, also=intend)

    async def _tell_deleted(
        self, live: Live, input_: Input, cause: str | None, also: Also | None
    ) -> None:
        def close(tx: Tx, row: object) -> None:
            tx.close_intents(live.row.incarnation)
            tx.forget_shipments(live.row.incarnation)
            if also is not None:
                also(tx, live.row)

        changes = {"deleted_at": self._clock.now()}
        await self._containers.advance(live, input_, changes=changes, cause=cause, also=close)
        if live.handle is not None:
            live.handle.close()
        self._containers.drop(live)

    async def remove_if_asked(self, live: Live) -> None:
        """Auto-remove: deletes a container whose init has ended; in its lane already."""
        asked = live.row.spec.auto_remove and live.row.state is ContainerState.STOPPED
        if asked and not _goes_on_later(live) and self._containers.get(live.row.name) is live:
            await self.remove(live)

    async def after_exit(self, live: Live) -> None:
        """What follows an end of init, in the container's lane like a command."""
        if live.row.spec.auto_remove:
            ticket = await self._lanes.enter(live.row.name)
            try:
                await self.remove_if_asked(live)
            finally:
                ticket.release()

    async def after_monitor(self, live: Live) -> None:
        """`on_monitor_lost = "stop"`: its own signal, its grace, KILL; in its lane like a stop."""
        spec = live.row.spec
        number = signal_number(spec.stop_signal)
        ticket = await self._lanes.enter(live.row.name)
        try:
            alive = live.row.state in (ContainerState.RUNNING, ContainerState.PAUSED)
            if not alive or live.row.end_asked is not None:
                return
            await self.ask_to_stop(live, number, spec.grace_s, None, WhyStopping.MONITOR_LOST)
        finally:
            ticket.release()
        await self.see_to_the_end(live, spec.grace_s)

    async def _output_to_keep(self, live: Live) -> ProcessRow | None:
        """What an auto-removed one printed stays readable with its terminal record.

        In a thread: where one stream is silent, megabytes are read for its head.
        """
        if not live.row.spec.auto_remove or live.handle is None:
            return None
        try:
            output = await asyncio.to_thread(live.handle.init.output, CAPTURE_BYTES)
        except OSError as error:
            log.warning("output-lost", container=live.row.name, error=str(error))
            return None
        row = msgspec.structs.replace(live.init.row, output=output)
        live.init.row = row
        return row

    async def _execs_told(self, live: Live) -> None:
        """`deleted` waits for the execs named in init's exit; their watches have bounds."""
        waiting = [process.ended for process in live.execs if not process.ended.done()]
        if waiting:
            _done, late = await asyncio.wait(waiting, timeout=KILL_WAIT_S)
            if late:
                log.error("execs-not-told", container=live.row.name, count=len(late))

    @staticmethod
    def _signal_init(live: Live, number: int) -> None:
        handle = live.init.handle
        try:
            if handle is not None:
                handle.signal(number)
        except NotFound:
            log.info("already-over", container=live.row.name, process=INIT)


def _goes_on_later(live: Live) -> bool:
    """It ended by a checkpoint, and is restored from it, here or elsewhere."""
    status = live.row.exit
    return status is not None and status.reason is ExitReason.CHECKPOINT


async def _nothing(_live: Live) -> None:
    """Nobody needs the logs any more."""


async def _thawed(live: Live) -> bool:
    """Thaws it; False where it is over. A life that died in the same stop may have thawed it."""
    try:
        await live.runtime.resume()
    except RuntimeFailed:
        state = await live.runtime.state()
        if state == "paused":
            raise
        return state == "running"
    return True
