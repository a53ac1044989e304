"""stop_on_disconnect_s: the node itself ends what may by now have been placed elsewhere.

Whether a server is there is asked, not believed: a connection may be half open. What
counts is CLOCK_BOOTTIME since the last answer, also over a death of the agent, so that an
agent that comes back too late stops such a container before it looks for a server.
"""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from wharfside_agent.core.signals import signal_number
from wharfside_agent.ports.bus import Bus, BusError
from wharfside_agent.ports.clock import Clock
from wharfside_agent.ports.rows import ContainerRow
from wharfside_agent.services.commands.lanes import Lanes
from wharfside_agent.services.last_heard import LastHeard
from wharfside_agent.services.life.backoff import waits_for_restart
from wharfside_agent.services.life.containers import Containers
from wharfside_agent.services.life.endings import Endings
from wharfside_agent.services.life.live import Live
from wharfside_agent.services.life.restarts import Restarts
from wharfside_agent.services.tasks import Tasks
from wharfside_protocol.errors import WharfsideError
from wharfside_protocol.event_facts import WhyNotRestarting, WhyStopping
from wharfside_protocol.states import ContainerState

log = structlog.get_logger(__name__)

LONGEST_PAUSE_S = 5.0
TICKS = 5
"""So often within the shortest bound a server is asked for."""


class Disconnects:
    """`run` is its one task; it must look once before the bus connects."""

    def __init__(
        self,
        bus: Bus,
        heard: LastHeard,
        containers: Containers,
        endings: Endings,
        restarts: Restarts,
        lanes: Lanes,
        clock: Clock,
        tasks: Tasks,
    ) -> None:
        self._bus = bus
        self._heard = heard
        self._containers = containers
        self._endings = endings
        self._restarts = restarts
        self._lanes = lanes
        self._clock = clock
        self._tasks = tasks
        self._ending: set[str] = set()

    async def run(self) -> None:
        """Looks, asks for a server, pauses; for ever, whatever the store says meanwhile."""
        while True:
            self._heard.wanted.clear()
            pause_s: float | None = None
            try:
                pause_s = await self._round()
            except Exception as error:
                log.error("disconnects-not-watched", exc_info=error)
            await self._pause(pause_s or LONGEST_PAUSE_S)

    async def _round(self) -> float | None:
        await self.look()
        pause_s = self._pause_s()
        if pause_s is not None:
            await self._ask(pause_s)
        elif self._heard.kept:
            await self._heard.forget()
        return pause_s

    async def look(self) -> None:
        """Begins the stop of each one whose bound is over; each in its own lane.

        That it is held stands in the store first: it stays so when a server is heard
        again, since then it may run elsewhere.
        """
        for live in self._containers:
            if not self._restarts.cut_off(live.row):
                continue
            if live.row.held is not WhyNotRestarting.DISCONNECTED:
                changes = {"held": WhyNotRestarting.DISCONNECTED}
                await self._containers.commit(live, changes=changes)
            if _must_end(live.row) and live.row.incarnation not in self._ending:
                self._ending.add(live.row.incarnation)
                self._tasks.start(self._end(live, live.row.run), f"cut off: {live.row.name}")

    async def _pause(self, seconds: float) -> None:
        """Less where a container comes whose bound is shorter."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._heard.wanted.wait(), seconds)

    def _pause_s(self) -> float | None:
        """None: no container has a bound."""
        bounds = [live.row.spec.stop_on_disconnect_s for live in self._containers]
        shortest = min((bound for bound in bounds if bound is not None), default=None)
        return None if shortest is None else min(shortest / TICKS, LONGEST_PAUSE_S)

    async def _ask(self, timeout_s: float) -> None:
        """Noted is when it was asked: the answer says nothing of any later moment."""
        asked = self._clock.boottime()
        try:
            await self._bus.round_trip(timeout_s)
        except BusError:
            if not self._heard.kept:
                await self._heard.note()  # counted from the first time that it is wanted
            return
        await self._heard.note(asked)

    async def _end(self, live: Live, run: int) -> None:
        """As the op stop does it. A lane that is full or a stop that fails: the next look."""
        grace_s = live.row.spec.grace_s
        try:
            ticket = await self._lanes.enter(live.row.name)
            try:
                wanted = self._containers.get(live.row.name) is live and live.row.run == run
                begun = wanted and await self._begin(live)
            finally:
                ticket.release()
            if begun:
                await self._endings.see_to_the_end(live, grace_s)
        except WharfsideError as error:
            log.warning("not-stopped", container=live.row.name, error=str(error))
        finally:
            self._ending.discard(live.row.incarnation)

    async def _begin(self, live: Live) -> bool:
        """False where there is nothing left to stop."""
        if not _must_end(live.row):
            return False
        if live.row.state is ContainerState.STOPPED:
            await self._restarts.give_up(live, WhyNotRestarting.DISCONNECTED)
            return False
        spec = live.row.spec
        log.warning("cut-off", container=live.row.name, silent_s=self._heard.silent_s())
        number = signal_number(spec.stop_signal)
        await self._endings.ask_to_stop(live, number, spec.grace_s, None, WhyStopping.DISCONNECTED)
        return True


def _must_end(row: ContainerRow) -> bool:
    """It runs, and nobody has asked it to end; or it waits for a restart."""
    runs = row.state in (ContainerState.RUNNING, ContainerState.PAUSED)
    return (runs and row.end_asked is None) or waits_for_restart(row)
