"""Tells containers whose tasks stall: that it begins, now and then that it lasts, that it is over.

Nothing is looked at until the kernel rings for all containers together; then every one is, each
WINDOW_US, for as long as it rings or somebody's pressure is not over yet. A container that runs in
peace costs nothing, and one that thrashes one event in `again_s`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import structlog

from wharfside_agent.core.pressure import WINDOW_US, Judge, Look, Rule, Tidings
from wharfside_agent.errors import is_shortage
from wharfside_agent.ports.clock import Clock
from wharfside_agent.ports.pressure import Stalls
from wharfside_agent.services.life.containers import Containers
from wharfside_agent.services.life.live import Live
from wharfside_agent.turns import Turn
from wharfside_protocol.errors import WrongState
from wharfside_protocol.event_facts import PressureOn, UnderPressure
from wharfside_protocol.events import EventType
from wharfside_protocol.states import ContainerState
from wharfside_protocol.stats import Pressure
from wharfside_protocol.times import to_timestamp

log = structlog.get_logger(__name__)

IDLE_S = 30.0
"""So long the bell is waited for at a time; one that could not be hung is tried again then."""

RUNS = (ContainerState.RUNNING, ContainerState.PAUSED)

Seen = tuple[str, int, PressureOn]
"""Incarnation, run, resource."""


@dataclass(frozen=True, slots=True)
class Found:
    """Something to tell of a container, and the figures that it was found by."""

    live: Live
    key: Seen
    figures: Pressure
    tidings: Tidings


class PressureTeller:
    """`run` is its one task."""

    def __init__(
        self,
        containers: Containers,
        stalls: Stalls,
        clock: Clock,
        shares: Mapping[PressureOn, float],
        again_s: float,
    ) -> None:
        self._containers = containers
        self._stalls = stalls
        self._clock = clock
        self._judges: dict[Seen, Judge] = {}
        self._rules: dict[PressureOn, Rule] = {}
        self.listen(shares, again_s)

    def listen(self, shares: Mapping[PressureOn, float], again_s: float) -> None:
        """Tells those that stall for such a share of the time; 0: not on that resource."""
        again_us = int(again_s * 1_000_000)
        self._rules = {on: Rule(share, again_us) for on, share in shares.items() if share > 0}
        self._stalls.listen({on: rule.share for on, rule in self._rules.items()})

    async def run(self) -> None:
        """Waits for the bell and follows it, for ever."""
        try:
            while True:
                await self._round()
        finally:
            self._stalls.close()

    async def _round(self) -> None:
        try:
            if await self._stalls.rung(IDLE_S):
                await self._follow()
        except Exception as error:  # what else the agent does needs none of this
            log.error("pressure-not-watched", exc_info=error)
            await asyncio.sleep(IDLE_S)

    async def _follow(self) -> None:
        await self.look()  # what the next one counts from
        rings = True
        while rings or any(judge.open for judge in self._judges.values()):
            await asyncio.sleep(WINDOW_US / 1_000_000)
            rings = self._stalls.take()
            await self.look()

    async def look(self) -> None:
        """At every container once, in turns of the loop; told is what is found."""
        turn, seen = Turn(), set[Seen]()
        for live in self._containers:
            for found in self._found(live, seen):
                await self._tell(found)
            await turn.give_up()
        self._judges = {key: judge for key, judge in self._judges.items() if key in seen}

    def _found(self, live: Live, seen: set[Seen]) -> Iterator[Found]:
        row = live.row
        if live.handle is None or row.state not in RUNS:
            return
        for resource, rule in self._rules.items():
            figures = self._stalls.read(live.handle.cgroup, resource)
            if figures is not None:
                key = row.incarnation, row.run, resource
                seen.add(key)
                if (tidings := self._judged(key, figures.some.total_us, rule)) is not None:
                    yield Found(live, key, figures, tidings)

    def _judged(self, key: Seen, stalled_us: int, rule: Rule) -> Tidings | None:
        look = Look(self._clock.boottime() // 1000, self._clock.now(), stalled_us)
        judge = self._judges.get(key)
        if judge is not None:
            return judge.look(look, rule)
        self._judges[key] = Judge(look)
        return None

    async def _tell(self, found: Found) -> None:
        """Unless it has ended meanwhile: its exit says more. What a full disk does not take is
        not waited for, and begins anew."""
        live = found.live
        _incarnation, run, _resource = found.key

        def guard() -> None:
            if live.row.run != run or live.row.state not in RUNS:
                raise WrongState(f"{live.row.name} is over", state=str(live.row.state))

        draft = self._containers.draft(live.row, EventType.PRESSURE, _facts(found))
        try:
            await self._containers.commit(live, [draft], guard=guard)
        except WrongState:
            return
        except Exception as error:
            if not is_shortage(error):
                raise
            self._judges.pop(found.key, None)
            log.warning("pressure-not-told", container=live.row.name, error=str(error))


def _facts(found: Found) -> UnderPressure:
    tidings, handle = found.tidings, found.live.handle
    _incarnation, _run, resource = found.key
    of_memory = resource is PressureOn.MEMORY
    usage = handle.usage() if of_memory and handle is not None else None
    return UnderPressure(
        resource=resource,
        phase=tidings.phase,
        since=to_timestamp(tidings.since_ns),
        stalled_us=tidings.stalled_us,
        window_us=tidings.window_us,
        figures=found.figures,
        memory_bytes=usage.memory_bytes if usage else None,
        memory_limit_bytes=usage.memory_limit_bytes if usage else None,
    )
