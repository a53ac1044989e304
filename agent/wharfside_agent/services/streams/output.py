"""A process's output over its runs, one after the other, and how it ended."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from wharfside_agent.ports.io import Missing, Over, Piece
from wharfside_agent.ports.logs import LogName, Logs, LogSource, LogWish
from wharfside_agent.ports.store import Store
from wharfside_agent.services.life.containers import Containers
from wharfside_agent.services.life.live import Live
from wharfside_agent.services.life.restarts import Restarts
from wharfside_protocol.exits import ExitStatus
from wharfside_protocol.states import INIT, ContainerState


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run's log is begun with."""

    run: int
    offset: int = 0


class RunsSource:
    """ports.io.Source. `only`: the run that was asked for, no other follows it.

    All logs have their sources from the beginning: those that wait for their turn are read also
    when the container is deleted before it. `until_s`: so long new output is waited for.
    """

    def __init__(
        self,
        process: LoggedProcess,
        places: Sequence[Place],
        wish: LogWish,
        only: int | None,
        until_s: float | None = None,
    ) -> None:
        self._process = process
        self._wish = wish
        self._only = only
        self._run = places[0].run
        self._sources = deque((place.run, self._source(place)) for place in places)
        self._told = False
        self._follows = wish.follow
        loop = asyncio.get_running_loop()
        self._timer = None
        if self._follows and until_s is not None:
            self._timer = loop.call_later(until_s, self._follow_no_more)

    async def read(self, most: int) -> Piece | Missing | Over | None:
        while self._sources:
            self._run, source = self._sources[0]
            piece = await source.read(most)
            if piece is not None:
                return piece
            if self._sources:
                self._sources.popleft()[1].close()
                await self._next_run()
        return None if self._told else await self._end()

    def close(self) -> None:
        self._told = True
        while self._sources:
            self._sources.popleft()[1].close()
        if self._timer is not None:
            self._timer.cancel()
        self._follow_no_more()

    def _source(self, place: Place) -> LogSource:
        return self._process.source(place.run, replace(self._wish, offset=place.offset))

    def _follow_no_more(self) -> None:
        self._follows = False
        for _, source in self._sources:
            source.end_here()
        self._process.live.tell_changed()  # this may wait for another run

    async def _next_run(self) -> None:
        """Where the log is followed, and this was the last run so far."""
        while self._follows and not self._sources and self._only is None:
            changed = self._process.live.changed
            if self._process.has_begun(self._run + 1):
                self._sources.append((self._run + 1, self._source(Place(self._run + 1))))
            elif not self._process.may_run_again(self._run):
                return
            else:
                await changed.wait()

    async def _end(self) -> Over | None:
        self._told = True
        ended = await self._process.exit(self._run)
        if ended is None:
            return None
        row = self._process.live.row
        return Over(self._process.name, row.incarnation, self._run, ended)


@dataclass(frozen=True, slots=True)
class LoggedProcess:
    """A process by its name, in whatever run, of a container that is not deleted."""

    live: Live
    name: str
    logs: Logs
    store: Store
    containers: Containers
    restarts: Restarts

    def log(self, run: int) -> LogName:
        return LogName(self.live.row.incarnation, run, self.name)

    def source(self, run: int, wish: LogWish) -> LogSource:
        return self.logs.source(self.log(run), wish)

    def has_begun(self, run: int) -> bool:
        """There is that run, and its init; an exec dies with its run."""
        live = self.live
        begun = live.row.run >= run and live.init.row.run == live.row.run
        return self.name == INIT and begun and live.init.handle is not None

    def may_run_again(self, run: int) -> bool:
        """After `run`, which is over: by its policy, or a start that is under way."""
        live = self.live
        if self.name != INIT or self.containers.get(live.row.name) is not live:
            return False
        under_way = live.row.run > run and live.row.state is ContainerState.CREATING
        return under_way or self.restarts.may_start(live.row)

    async def exit(self, run: int) -> ExitStatus | None:
        """How it ended in that run; None: it has not, or nobody knows any more."""
        live = self.live
        process = live.processes.get(self.name) if live.row.run == run else None
        if process is not None and process.ended.done():
            return None if process.ended.cancelled() else process.ended.result()
        rows = await self.store.transact(lambda tx: tx.processes(live.row.incarnation, run))
        return next((row.exit for row in rows if row.process == self.name), None)
