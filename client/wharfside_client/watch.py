"""The whole fleet's state, and then every change of it: without polling, without a gap.

Three streams are followed: the events, which tell each change in turn, and the two
buckets, which tell of nodes and heal what events alone cannot. Everything is folded
in one place, one message at a time, as the reader takes it (hearing.py brings them).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Self

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_exponential

from wharfside_client import present as reading
from wharfside_client.bus import Bus
from wharfside_client.changes import Change, Place, Resynced, State
from wharfside_client.direct import Stored
from wharfside_client.errors import EventsLost, NotSetUp, ServerUnreachable, Unanswered
from wharfside_client.fleet import SILENT_S
from wharfside_client.follow import LIVE_LIMIT, OUTAGE_S, RESYNC_S, Heard
from wharfside_client.hearing import Hearing
from wharfside_client.node import Node
from wharfside_client.picture import AHEAD_S, Picture, WatchFilter, copied
from wharfside_client.present import Present, Reader
from wharfside_client.silence import ServerClock, Silence
from wharfside_protocol.errors import WharfsideError
from wharfside_protocol.subjects import Subjects, check_name
from wharfside_protocol.times import NANOSECONDS, from_timestamp
from wharfside_protocol.views import ContainerProjection, NodeInfo

ASK_AGAIN_S = 5.0
"""So long after the bus could not tell whether a node is silent it is asked again."""
NODE_ANSWERS_S = 5.0
"""So long a node is waited for that is asked about what the bus has forgotten."""

_UNREADABLE = (ServerUnreachable, Unanswered, NotSetUp)
_log = logging.getLogger("wharfside.client")


class Watch:
    """Use it as a context, then iterate: a `State` first, then each change of it.

    `async with w.watch() as watch: async for change in watch: ...`

    `state` is always as far as the items handed out (the changes of one message are all
    in it with the first of them), `seq` is the token to resume from.
    """

    def __init__(
        self,
        bus: Bus,
        subjects: Subjects,
        *,
        nodes: Iterable[str] | None = None,
        labels: Mapping[str, str] | None = None,
        since: int | None = None,
        resync_s: float = RESYNC_S,
        outage_s: float = OUTAGE_S,
        live_limit: int = LIVE_LIMIT,
        silent_s: float = SILENT_S,
    ) -> None:
        """
        Raises:
            Invalid: no node can be called so.
        """
        names = None if nodes is None else frozenset(check_name(name, "node") for name in nodes)
        wanted = WatchFilter(names, labels or {})
        self._bus = bus
        self._subjects = subjects
        self._since = since
        self._outage_s = outage_s
        self._reader = Reader(bus, subjects, wanted)
        self._hearing = Hearing(
            bus, subjects, wanted, resync_s=resync_s, outage_s=outage_s, live_limit=live_limit
        )
        self._picture = Picture(wanted)
        self._clock = ServerClock(time.time_ns() - time.monotonic_ns())
        self._silence = Silence(int(silent_s * NANOSECONDS))
        self._ready: deque[Change] = deque()
        self._asked_at = 0.0

    @property
    def state(self) -> State:
        """The fleet as it is now: a view that goes on with the watch."""
        return self._picture.state

    @property
    def seq(self) -> int:
        """All events up to this one are in the state: `since` of a later watch."""
        return self._picture.seq

    async def __aenter__(self) -> Self:
        """
        Raises:
            NotSetUp: a stream or bucket is missing; `wharfside bootstrap` makes it.
        """
        try:
            await self._hearing.listen()
            await self._begin()
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._hearing.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Change:
        """
        Raises:
            ServerUnreachable, Unanswered, NotSetUp: the bus could not be read for long.
            Denied: this user may not listen.
        """
        while not self._ready:
            await self._step()
        return self._ready.popleft()

    async def _begin(self) -> None:
        lost: EventsLost | None = None
        try:
            present = await self._first()
        except EventsLost as error:
            lost, present = error, await self._reader.now()
        self._take(present)
        self._ready.append(copied(self.state))
        if lost is not None:
            self._ready.append(Resynced(self.seq, lost.message))
        self._hearing.follow(present)

    async def _first(self) -> Present:
        if self._since is None:
            return await self._reader.now()
        return await self._reader.at(self._since)

    def _take(self, present: Present) -> list[Change]:
        """Folds what was read; the changes to what was known before."""
        changes: list[Change] = []
        for info, seen_at in present.nodes:
            changes += self._presence(info, seen_at, live=False)
        self._picture.seq = present.events.last
        changes += self._picture.keep_nodes(info.node for info, _ in present.nodes)
        changes += self._picture.replace(present.views, time.monotonic())
        self._picture.remember(present.last)
        return changes

    async def _step(self) -> None:
        """Takes the next message, or what is due by time, into the state.

        A message is forgotten only once it is: whoever cancels a wait loses nothing.
        """
        due_s = self._due_s()
        if due_s is not None and due_s <= 0:
            await self._see_what_is_due()
        elif (heard := await self._hearing.next(due_s)) is not None:
            self._ready += await self._changes_of(*heard)
            self._hearing.taken()

    async def _changes_of(self, source: str, told: Heard | Exception) -> list[Change]:
        """Awaits first and folds then: it can be called again where it was canceled."""
        match told:
            case EventsLost():
                return await self._resync(told)
            case Exception():
                raise told
        stamp_ns = from_timestamp(told.message.time)
        self._clock.stamped(stamp_ns, time.monotonic_ns(), live=told.live)
        match source:
            case "events":
                return await self._event(told.message)
            case "nodes":
                return self._node(told)
            case _:
                return self._projection(told.message)

    async def _event(self, message: Stored) -> list[Change]:
        event = reading.event_in(self._subjects, message)
        if event is None:
            _log.warning("no event at sequence %d", message.seq)
            self._picture.seq = max(self._picture.seq, message.seq)
            return []
        changes: list[Change] = []
        unclear = self._picture.unclear(event)
        if unclear is not None:
            changes += await self._from_history(unclear, until=message.seq - 1)
        changes += self._picture.event(message.seq, event, time.monotonic())
        return changes

    async def _from_history(self, place: Place, until: int) -> list[Change]:
        """A container of which something was never told here, as all of its events tell it."""
        view = await self._reader.history(place, None, until=until)
        if view is None:
            return []  # it has expired: its projection tells
        changes: list[Change] = []
        changes += self._picture.projection(view, time.monotonic())
        changes += self._picture.believe(place, time.monotonic())
        return changes

    def _node(self, told: Heard) -> list[Change]:
        message = told.message
        if "KV-Operation" in message.headers:
            node = message.subject.rpartition(".")[2]
            self._silence.forget(node)
            return list(self._picture.removed(node))
        info = reading.presence_in(message)
        return [] if info is None else self._presence(info, message.time, live=told.live)

    def _presence(self, info: NodeInfo, seen_at: str, *, live: bool) -> list[Change]:
        at_ns, local_ns = from_timestamp(seen_at), time.monotonic_ns()
        self._clock.stamped(at_ns, local_ns, live=live)
        silent = self._clock.now(local_ns) - at_ns > self._silence.after_ns
        changes: list[Change] = list(self._picture.presence(info, seen_at, silent=silent))
        if info.node in self.state.nodes and not silent:
            self._silence.put(info.node, at_ns)
        return changes

    def _projection(self, message: Stored) -> list[Change]:
        view = reading.projection_in(message)
        return [] if view is None else list(self._picture.projection(view, time.monotonic()))

    def _due_s(self) -> float | None:
        """Seconds until a node is due to be silent or a projection has waited long enough."""
        now_s, due = time.monotonic(), []
        silence = self._silence.next()
        if silence is not None:
            server_ns = self._clock.now(time.monotonic_ns())
            due.append(max(silence[0] - server_ns, 0) / NANOSECONDS)
        if self._picture.ahead:
            due.append(next(iter(self._picture.ahead.values())) - now_s)
        return max(min(due), self._asked_at - now_s) if due else None

    async def _see_what_is_due(self) -> None:
        """The bus is asked once more before anybody is told: a message may have been missed."""
        try:
            await self._see_who_is_silent()
            await self._see_what_is_ahead()
        except _UNREADABLE:
            self._asked_at = time.monotonic() + ASK_AGAIN_S

    async def _see_who_is_silent(self) -> None:
        due = self._silence.next()
        if due is None or due[0] > self._clock.now(time.monotonic_ns()):
            return
        node = due[1]
        put = await self._reader.presence(node)
        info = None if put is None else reading.presence_in(put)
        if put is None or info is None:
            self._silence.forget(node)  # removed: its bucket tells
            return
        self._ready += self._presence(info, put.time, live=False)
        if self._silence.next() == due:
            self._silence.forget(node)
            self._ready += self._picture.silent(node)

    async def _see_what_is_ahead(self) -> None:
        now_s = time.monotonic()
        late = [place for place, until_s in self._picture.ahead.items() if until_s <= now_s]
        for place in late:
            last = await self._reader.last_event(place)
            if last is not None and last[0] > self.seq:
                del self._picture.ahead[place]
                self._picture.ahead[place] = now_s + AHEAD_S  # they are on their way
            else:
                self._ready += self._picture.believe(place, now_s)

    async def _resync(self, lost: EventsLost) -> list[Change]:
        """Reads the state anew, and tells what is different."""
        _log.warning("the watch reads its state anew: %s", lost.message)
        await self._hearing.forget()
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(_UNREADABLE),
            wait=wait_exponential(multiplier=0.05, max=2.0),
            stop=stop_after_delay(self._outage_s),
            reraise=True,
        )
        known = self.state.containers
        present: Present = await retrying(self._reader.now, list(known))
        forgotten = [known[place] for place in set(known) - set(present.views)]
        for view in await asyncio.gather(*map(self._as_its_node_says, forgotten)):
            if view is not None:
                present.views[Place(view.node, view.container)] = view
        changes = self._take(present)
        self._hearing.follow(present)
        return [Resynced(self.seq, lost.message), *changes]

    async def _as_its_node_says(self, view: ContainerProjection) -> ContainerProjection | None:
        """A container that the bus has forgotten: its node knows whether it is there.

        Where the node does not tell, either, it is believed to be as it was.
        """
        node = Node(self._bus, view.node)
        try:
            there = await node.inspect(view.container, timeout_s=NODE_ANSWERS_S)
        except WharfsideError as error:
            return None if error.code == "not-found" else view
        return view if there.incarnation == view.incarnation else None
