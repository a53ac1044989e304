"""The node's presence under its key in WHARFSIDE_NODES, and the watch for a twin (rule 12).

Depends on no lane and no container: a busy node is still there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import structlog

from wharfside_agent.ports.bus import Bus, BusError, Request
from wharfside_agent.ports.clock import Clock
from wharfside_agent.services.life.containers import Containers
from wharfside_agent.services.tasks import Tasks
from wharfside_protocol.assets import node_key
from wharfside_protocol.codec import decode, encode
from wharfside_protocol.errors import Invalid
from wharfside_protocol.records import Labels
from wharfside_protocol.subjects import Subjects
from wharfside_protocol.times import to_timestamp
from wharfside_protocol.views import ContainerCounts, NodeInfo

log = structlog.get_logger(__name__)

PUT_EVERY_S = 30.0
RETRY_S = 2.0
GATHER_S = 0.5

ALONE_S = 4 * GATHER_S + 1.0
"""Another life hears of ours, answers, hears again and answers again, gathering each time."""

MAX_CLONES = 64
"""Foreign lives with our node_id that are remembered; there are none but by mistake."""

SEQUENCE_HEADER = "Nats-Sequence"

_COUNTED = ("created", "running", "paused", "stopped")


class Presence:
    """`base` is what does not change in this life; `now` tells fields that do."""

    def __init__(
        self,
        base: NodeInfo,
        bus: Bus,
        subjects: Subjects,
        clock: Clock,
        containers: Containers,
        tasks: Tasks,
        now: Callable[[], dict[str, Any]],
        draining: Callable[[], bool],
    ) -> None:
        self._base = base
        self._bus = bus
        self._subjects = subjects
        self._clock = clock
        self._containers = containers
        self._tasks = tasks
        self._now = now
        self._draining = draining
        self._mailbox: Callable[[], str | None] = lambda: None
        self._changed = asyncio.Event()
        self._down = False
        self._since: int | None = None
        self._foreign: list[tuple[NodeInfo, int]] = []
        self._told = asyncio.Event()
        self._puts = 0
        self._clones: dict[str, int] = {}
        self.twin: asyncio.Future[NodeInfo] = asyncio.get_running_loop().create_future()

    async def start(self) -> None:
        """Listens for a twin first, then tells of itself, then keeps telling."""
        self._bus.on_connected(self.changed)
        await self._bus.listen(self._subjects.live_nodes(self._base.node), self._heard)
        self._tasks.start(self._keep_telling(), "presence")

    async def alone(self) -> None:
        """Until the bus has had its time to tell of another life, and has not."""
        await self._told.wait()
        await asyncio.sleep(ALONE_S)

    def changed(self) -> None:
        """Something that presence tells has changed: a put follows soon."""
        self._changed.set()

    def relabel(self, labels: Labels) -> None:
        """The node's labels from now on."""
        self._base = msgspec.structs.replace(self._base, labels=labels)
        self.changed()

    def on_mailbox(self, state: Callable[[], str | None]) -> None:
        """`state` tells how the mailbox is."""
        self._mailbox = state

    def info(self) -> NodeInfo:
        """The node as it is now."""
        return msgspec.structs.replace(
            self._base,
            state="down" if self._down else "draining" if self._draining() else "up",
            at=to_timestamp(self._clock.now()),
            since_seq=self._since,
            containers=self._counts(),
            bus=self._bus.view(),
            mailbox=self._mailbox(),
            **self._now(),
        )

    def _counts(self) -> ContainerCounts:
        states = [str(live.row.state) for live in self._containers]
        return ContainerCounts(**{name: states.count(name) for name in _COUNTED})

    async def leave(self) -> None:
        """Tells, if the bus can be reached, that the agent goes down of its own will."""
        self._down = True
        try:
            await self._put(timeout_s=1.0)
        except BusError as error:
            log.info("down-not-told", error=str(error))

    async def _keep_telling(self) -> None:
        while True:
            self._changed.clear()
            try:
                sequence = await self._put()
                self._note_own(sequence)
                await self._pause()
            except BusError as error:
                log.debug("presence-not-told", error=str(error))
                await self._pause(RETRY_S)

    async def _put(self, timeout_s: float = 5.0) -> int:
        key = node_key(self._base.node)
        return await self._bus.publish(key, encode(self.info()), timeout_s=timeout_s)

    async def _pause(self, seconds: float = PUT_EVERY_S) -> None:
        """Until the next put is due: a change gathers others for a moment."""
        try:
            await asyncio.wait_for(self._changed.wait(), seconds)
            await asyncio.sleep(GATHER_S)
        except TimeoutError:
            pass

    def _note_own(self, sequence: int) -> None:
        self._puts += 1
        self._told.set()
        if self._since is None:
            self._since = sequence
            self._changed.set()
            for foreign, at in self._foreign:
                self._judge(foreign, at)

    def _heard(self, message: Request) -> None:
        """The server can be made to answer another node here: under a subject of that one's
        own, or with what no presence says. Only what the bucket republished is believed."""
        try:
            told = decode(message.data, NodeInfo)
            at = int(message.headers.get(SEQUENCE_HEADER, "0"))
        except (Invalid, ValueError):
            return
        own = self._subjects.live_nodes(self._base.node)
        if message.subject != own or told.node != self._base.node:
            log.warning("foreign-presence", subject=message.subject, node=told.node)
            return
        if told.life == self._base.life or told.state == "down":
            return
        if told.node_id == self._base.node_id and not self._lives_on(told.life):
            return
        if self._since is None:
            self._foreign = [*self._foreign[-7:], (told, at)]
        else:
            self._judge(told, at)

    def _lives_on(self, life: str) -> bool:
        """Whether a foreign life with our own node_id (a cloned data folder) is alive.

        Our own former life's last put may come late. So the first one is answered by a put
        of ours; who lives answers that in turn, and who is dead does not.
        """
        if life not in self._clones:
            if len(self._clones) < MAX_CLONES:
                self._clones[life] = self._puts
                self._changed.set()
            return False
        return self._puts > self._clones[life]

    def _judge(self, other: NodeInfo, heard_at: int) -> None:
        """The one whose life began later leaves; --take-over turns that round."""
        assert self._since is not None
        theirs = other.since_seq or heard_at
        one_takes_over = other.take_over != self._base.take_over
        leave = other.take_over if one_takes_over else theirs < self._since
        log.warning(
            "twin",
            node_id=other.node_id,
            life=other.life,
            since_seq=theirs,
            ours=self._since,
            leave=leave,
        )
        if not leave:
            self._changed.set()
        elif not self.twin.done():
            self.twin.set_result(other)
