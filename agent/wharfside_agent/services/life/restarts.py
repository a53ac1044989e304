"""Restart policies, kept by the agent alone: with no bus, and over its own death.

The decision follows the exit, in the container's lane like a command, and is committed
with the event that tells it. What is due stands in the store; the timer here is only its
doorbell, and finds for itself whether it is still wanted.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

import structlog
from tenacity import AsyncRetrying, retry_if_exception_type, wait_random_exponential

from wharfside_agent.core.lifecycle import Input
from wharfside_agent.core.restart_policy import Again, Over, Rests, Tally, decide
from wharfside_agent.ports.clock import Clock
from wharfside_agent.ports.rows import ContainerRow, RestartRow
from wharfside_agent.ports.store import Store
from wharfside_agent.services.commands.lanes import Lanes, Ticket
from wharfside_agent.services.last_heard import LastHeard
from wharfside_agent.services.life.backoff import backoff_ended, waits_for_restart
from wharfside_agent.services.life.containers import Containers
from wharfside_agent.services.life.live import Live
from wharfside_agent.services.life.starts import Starts
from wharfside_agent.services.tasks import Tasks
from wharfside_protocol.errors import Busy
from wharfside_protocol.event_facts import NotRestarting, Restarting
from wharfside_protocol.event_facts import WhyNotRestarting as Why
from wharfside_protocol.exits import ExitReason
from wharfside_protocol.specs import Restart
from wharfside_protocol.states import ContainerState
from wharfside_protocol.times import NANOSECONDS

log = structlog.get_logger(__name__)


class Restarts:
    """Decides, waits, and starts again."""

    def __init__(
        self,
        store: Store,
        containers: Containers,
        starts: Starts,
        heard: LastHeard,
        lanes: Lanes,
        clock: Clock,
        tasks: Tasks,
    ) -> None:
        self._booted = store.identity.new_boot
        self._containers = containers
        self._starts = starts
        self._heard = heard
        self._lanes = lanes
        self._clock = clock
        self._tasks = tasks

    async def after_exit(self, live: Live) -> None:
        """Decides on a run that is over, unless that was done, or a command came first."""
        if _policy(live.row) is None:
            return
        ticket = await self._lane(live)
        try:
            if self._is_there(live) and _undecided(live.row):
                await self._decide(live, _over(live.row, self._held(live.row)))
        finally:
            ticket.release()

    async def resume(self, live: Live) -> None:
        """What a former life had decided, or died before it could; after a boot, anew."""
        if _policy(live.row) is None:
            return
        ticket = await self._lane(live)
        try:
            if self._is_there(live) and live.row.state is ContainerState.STOPPED:
                await self._resume(live)
        finally:
            ticket.release()

    async def _resume(self, live: Live) -> None:
        row = live.row
        # For how long it was away no clock of the node can tell: it may run elsewhere.
        away = self._booted and row.spec.stop_on_disconnect_s is not None
        held = Why.DISCONNECTED if away else self._held(row)
        if waits_for_restart(row):
            await self._resume_wait(live, held)
        elif _undecided(row):
            await self._decide(live, _over(row, held, booted=self._booted))
        elif self._booted and _comes_back(row):
            await self._decide(live, Over(None, 0.0, held, booted=True))

    async def give_up(self, live: Live, why: Why, cause: str | None = None) -> None:
        """No policy starts it again until somebody does; in its lane, or where it has none."""
        drafts, changes = backoff_ended(self._containers, live.row, why, cause)
        if _policy(live.row) is not None and live.row.held is None:
            changes["held"] = why
        if changes:
            await self._containers.commit(live, drafts, changes=changes)

    def may_start(self, row: ContainerRow) -> bool:
        """It is over, and a policy has a start of it due, or has still to decide."""
        return waits_for_restart(row) or (_policy(row) is not None and _undecided(row))

    def cut_off(self, row: ContainerRow) -> bool:
        """It may have been placed elsewhere: this node must not run it by itself."""
        if row.spec.stop_on_disconnect_s is None:
            return False
        lost = row.exit is not None and row.exit.reason is ExitReason.NODE_REBOOT
        return lost or self._heard.silent_s() >= row.spec.stop_on_disconnect_s

    async def _decide(self, live: Live, over: Over) -> None:
        row, policy = live.row, _policy(live.row)
        assert policy is not None
        match decide(policy, over, _tally(row), random.random()):
            case Again(delay_s=delay_s, tally=tally):
                await self._tell_again(live, delay_s, tally)
            case Rests(why=why):
                rests = _restart(row, _tally(row))
                changes = {"restart": rests, "held": over.held or row.held}
                await self._containers.advance(
                    live, Input.NOT_RESTARTING, NotRestarting(why=why), changes=changes
                )

    async def _tell_again(self, live: Live, delay_s: float, tally: Tally) -> None:
        row = live.row
        now = self._clock.now()
        restart = _restart(row, tally, now + int(delay_s * NANOSECONDS), delay_s)
        changes: dict[str, Any] = {"restart": restart}
        if row.held is Why.STOPPED:  # and a boot ends that
            changes["held"] = None
        await self._containers.advance(
            live,
            Input.RESTARTING,
            Restarting(delay_s=delay_s, attempt=tally.attempts, next_run=row.run + 1),
            changes=changes,
            occurred_at=now,
        )
        self._arm(live, restart, delay_s)

    def _arm(self, live: Live, restart: RestartRow, delay_s: float) -> None:
        self._tasks.start(self._in_time(live, restart, delay_s), f"restart of {live.row.name}")

    async def _in_time(self, live: Live, restart: RestartRow, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        ticket = await self._lane(live)
        try:
            wanted = self._is_there(live) and live.row.restart == restart
            if wanted and waits_for_restart(live.row):
                await self._again(live)
        finally:
            ticket.release()

    async def _again(self, live: Live) -> None:
        """A refusal is a failed run, and the policy's to decide on."""
        held = self._held(live.row)
        if held is not None:
            await self.give_up(live, held)
            return
        try:
            await self._starts.again(live, None, lambda _tx, _row: None)
        except Exception as error:
            log.warning("not-restarted", container=live.row.name, error=str(error))
            if live.row.state is ContainerState.STOPPED:
                await self._decide(live, Over(None, 0.0, self._held(live.row)))

    async def _resume_wait(self, live: Live, held: Why | None) -> None:
        restart = live.row.restart
        assert restart is not None and restart.due_at is not None
        if held is not None:
            await self.give_up(live, held)
        elif live.row.run > restart.run:
            # Its re-creation was cut off and undone: another run, the same attempt.
            await self._tell_again(live, 0.0, Tally(restart.attempts, restart.streak))
        else:
            left_s = (restart.due_at - self._clock.now()) / NANOSECONDS
            # the clock may have been set meanwhile: never longer than was told
            self._arm(live, restart, min(max(left_s, 0.0), restart.delay_s))

    def _held(self, row: ContainerRow) -> Why | None:
        """To be cut off weighs more than a stop, which a boot may end."""
        return Why.DISCONNECTED if self.cut_off(row) else row.held

    def _is_there(self, live: Live) -> bool:
        return self._containers.get(live.row.name) is live

    async def _lane(self, live: Live) -> Ticket:
        """Insists: a policy is not turned away for a lane that is full."""
        enter = AsyncRetrying(
            retry=retry_if_exception_type(Busy), wait=wait_random_exponential(max=5)
        )
        return await enter(self._lanes.enter, live.row.name)


def _policy(row: ContainerRow) -> Restart | None:
    """The policy, where there is one to decide by."""
    restart = row.spec.restart
    return None if restart is None or restart.policy == "no" else restart


def _undecided(row: ContainerRow) -> bool:
    """Only an end that was told after a start is the policy's; a refused command is not."""
    over = row.state is ContainerState.STOPPED and row.exit is not None
    decided = row.restart is not None and row.restart.run >= row.run
    return over and not decided and (row.started_at is not None or row.run > 1)


def _comes_back(row: ContainerRow) -> bool:
    """`always` comes back with the node whatever it rests for, if ever it was started."""
    wanted = row.exit is None or row.started_at is not None or row.run > 1
    free = row.held in (None, Why.STOPPED)
    return wanted and free and row.spec.restart is not None and row.spec.restart.policy == "always"


def _over(row: ContainerRow, held: Why | None, *, booted: bool = False) -> Over:
    assert row.exit is not None
    ran_us = row.exit.duration_us
    return Over(row.exit.exit_code, 0.0 if ran_us is None else ran_us / 1e6, held, booted)


def _tally(row: ContainerRow) -> Tally:
    return Tally() if row.restart is None else Tally(row.restart.attempts, row.restart.streak)


def _restart(
    row: ContainerRow, tally: Tally, due_at: int | None = None, delay_s: float = 0.0
) -> RestartRow:
    facts: dict[str, Any] = {"attempts": tally.attempts, "streak": tally.streak}
    return RestartRow(run=row.run, due_at=due_at, delay_s=delay_s, **facts)
