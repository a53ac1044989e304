"""The node is emptied: no new work, and what runs is stopped or waited for.

That it drains is the store's to know: a next life of the agent goes on with it, also
with the command that asked for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import structlog

from wharfside_agent.core.signals import signal_number
from wharfside_agent.ports.bus import Bus
from wharfside_agent.ports.clock import Clock
from wharfside_agent.ports.rows import EventDraft, Row
from wharfside_agent.ports.store import Store, Tx
from wharfside_agent.services.commands.book import Commands
from wharfside_agent.services.commands.call import Call
from wharfside_agent.services.commands.lanes import Lanes
from wharfside_agent.services.life.containers import Containers
from wharfside_agent.services.life.endings import Endings
from wharfside_agent.services.life.live import Live
from wharfside_agent.services.life.restarts import Restarts
from wharfside_agent.services.tasks import Tasks
from wharfside_protocol.codec import encode
from wharfside_protocol.errors import Canceled, WharfsideError
from wharfside_protocol.event_facts import Draining, WhyNotRestarting, facts
from wharfside_protocol.events import EventType
from wharfside_protocol.node_commands import DrainPolicy, DrainValue, Progress
from wharfside_protocol.states import ContainerState
from wharfside_protocol.subjects import Subjects
from wharfside_protocol.times import NANOSECONDS, to_timestamp

log = structlog.get_logger(__name__)

META = "drain"
LOOK_S = 1.0
"""So often progress is told, and looked whether something came to life meanwhile."""

MOST_NAMES = 1000

RUNS = frozenset({ContainerState.CREATING, ContainerState.RUNNING, ContainerState.PAUSED})
"""What a drain stops or waits for; one that is created and not started is left alone."""


class DrainState(Row, frozen=True, kw_only=True):
    """`ends_at`: nanoseconds since the epoch, when `command` stops waiting."""

    policy: DrainPolicy
    command: str
    ends_at: int


class Drain:
    """`draining` from `begin` to `end`, over all lives of the agent between."""

    def __init__(
        self,
        store: Store,
        containers: Containers,
        commands: Commands,
        endings: Endings,
        restarts: Restarts,
        lanes: Lanes,
        bus: Bus,
        subjects: Subjects,
        clock: Clock,
        tasks: Tasks,
    ) -> None:
        self._store = store
        self._containers = containers
        self._commands = commands
        self._answers = commands.answers
        self._endings = endings
        self._restarts = restarts
        self._lanes = lanes
        self._bus = bus
        self._subjects = subjects
        self._clock = clock
        self._tasks = tasks
        self._state: DrainState | None = None
        self._adopted: Call | None = None
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tell_changed: Callable[[], None] = lambda: None

    @property
    def draining(self) -> bool:
        return self._state is not None

    def on_change(self, tell: Callable[[], None]) -> None:
        self._tell_changed = tell

    async def load(self) -> None:
        """What a former life left; before recovery answers the commands that it left, too."""
        text = await self._store.transact(lambda tx: tx.meta(META))
        if text:
            self._state = msgspec.json.decode(text, type=DrainState)
            self._adopted = await self._commands.adopt(self._state.command, op="drain")

    async def go_on(self) -> None:
        """After recovery: tells that the node drains still, and empties it further."""
        state, call = self._state, self._adopted
        if state is None:
            return
        await self._store.transact(lambda tx: self._note_draining(tx, state))
        if call is not None:
            call.interruptible = call.only_waits = True
            call.task = self._tasks.start(self._answer(call, state), f"drain {call.id}")

    async def _answer(self, call: Call, state: DrainState) -> object:
        try:
            result = self._answers.success(call, await self.emptied(state))
        except asyncio.CancelledError:
            canceled = Canceled("canceled; the node drains still", stage="running")
            result = self._answers.failure(call, canceled.to_body())
        except WharfsideError as error:
            result = self._answers.failure(call, error.to_body())
        await asyncio.shield(self._commands.finish(call, result))
        return result

    async def begin(self, state: DrainState) -> None:
        """From the commit on there is no new work; a second drain changes the policy."""
        told = self._state is not None and self._state.policy is state.policy

        def change(tx: Tx) -> None:
            tx.set_meta(META, msgspec.json.encode(state).decode())
            if not told:
                self._note_draining(tx, state)

        await self._store.transact(change)
        self._state = state
        log.info("draining", policy=str(state.policy))
        self._tell_changed()

    async def end(self, cause: str) -> bool:
        """Takes new work again; whether it had not."""
        if self._state is None:
            return False
        now = self._clock.now()
        up = EventDraft(type=EventType.UP, occurred_at=now, observed_at=now, cause=cause)

        def change(tx: Tx) -> None:
            tx.set_meta(META, "")
            tx.append_event(up)

        await self._store.transact(change)
        self._state = None
        self._ended.set_result(None)
        self._ended = asyncio.get_running_loop().create_future()
        log.info("undrained")
        self._tell_changed()
        return True

    def _note_draining(self, tx: Tx, state: DrainState) -> None:
        now = self._clock.now()
        draft = EventDraft(
            type=EventType.DRAINING,
            occurred_at=now,
            observed_at=now,
            cause=state.command,
            data=facts(Draining(policy=str(state.policy))),
        )
        tx.append_event(draft)

    async def emptied(self, state: DrainState) -> DrainValue:
        """Waits until nothing runs, or until the state's time is up.

        Raises:
            Canceled: the node was undrained meanwhile.
        """
        ended = self._ended
        asked: set[tuple[str, int]] = set()
        total = len(self._left())
        while left := self._left():
            await self._tell_progress(state, total, len(left))
            remaining = (state.ends_at - self._clock.now()) / NANOSECONDS
            if remaining <= 0:
                break
            if state.policy is DrainPolicy.STOP:
                self._stop_all(left, asked, state.command)
            ends: set[asyncio.Future[Any]] = {ended}
            ends |= {each.init.ended for each in left if not each.init.ended.done()}
            await asyncio.wait(
                ends,
                timeout=min(remaining, LOOK_S),
                return_when=asyncio.FIRST_COMPLETED,
            )
            if ended.done():
                raise Canceled("undrained while it waited", stage="running")
        await self._tell_progress(state, total, len(left))
        names = sorted(each.row.name for each in left)
        return DrainValue(
            drained=not left, total=total, left_count=len(left), left=names[:MOST_NAMES]
        )

    def _left(self) -> list[Live]:
        """What runs, and what a policy would start again."""
        return [
            live
            for live in self._containers
            if live.row.state in RUNS or self._restarts.may_start(live.row)
        ]

    def _stop_all(self, left: list[Live], asked: set[tuple[str, int]], cause: str) -> None:
        for live in left:
            key = live.row.incarnation, live.row.run
            if key not in asked and live.row.state is not ContainerState.CREATING:
                asked.add(key)
                self._tasks.start(self._stop(live, cause), f"drain {live.row.name}")

    async def _stop(self, live: Live, cause: str) -> None:
        """As the op `stop`, in the container's lane."""
        spec = live.row.spec
        try:
            ticket = await self._lanes.enter(live.row.name)
            try:
                if live.row.state is ContainerState.STOPPED:
                    await self._restarts.give_up(live, WhyNotRestarting.STOPPED, cause)
                    return
                if live.row.state in (ContainerState.RUNNING, ContainerState.PAUSED):
                    number = signal_number(spec.stop_signal)
                    await self._endings.ask_to_stop(live, number, spec.grace_s, cause)
            finally:
                ticket.release()
            await self._endings.see_to_the_end(live, spec.grace_s)
        except WharfsideError as error:
            log.warning("not-stopped", container=live.row.name, error=error.message)

    async def _tell_progress(self, state: DrainState, total: int, left: int) -> None:
        node = self._store.identity.node
        progress = Progress(
            node=node,
            command=state.command,
            op="drain",
            at=to_timestamp(self._clock.now()),
            total=total,
            left=left,
        )
        await self._bus.tell(self._subjects.progress(node, state.command), encode(progress))
