"""A process's output over its runs, one after the other, and how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from wharfside_agent.ports.io import Missing, Over, Piece, Source
from wharfside_agent.ports.logs import LogName, Logs, LogWish
from wharfside_agent.ports.store import Store
from wharfside_agent.services.containers import Containers, Live
from wharfside_agent.services.restarts import Restarts
from wharfside_protocol.exits import ExitStatus
from wharfside_protocol.states import INIT, ContainerState


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run's log is begun with."""

    run: int
    offset: int = 0


class RunsSource:
    """ports.io.Source. `only`: the run that was asked for, no other follows it."""

    def __init__(
        self, process: LoggedProcess, places: Sequence[Place], wish: LogWish, only: int | None
    ) -> None:
        self._process = process
        self._places = list(places)
        self._wish = wish
        self._only = only
        self._run = places[0].run
        self._source: Source | None = None
        self._told = False
        self._closed = False

    async def read(self, most: int) -> Piece | Missing | Over | None:
        while not self._closed and not self._told:
            if self._source is None and not self._open():
                return await self._end()
            assert self._source is not None
            piece = await self._source.read(most)
            if piece is not None:
                return piece
            self._let_go()
            await self._next_run()
        return None

    def close(self) -> None:
        self._closed = True
        self._let_go()
        self._process.live.tell_changed()  # one that waits for another run

    def _open(self) -> bool:
        if not self._places:
            return False
        place = self._places.pop(0)
        self._run = place.run
        wish = replace(self._wish, offset=place.offset)
        self._source = self._process.source(place.run, wish)
        return True

    def _let_go(self) -> None:
        if self._source is not None:
            self._source.close()
            self._source = None

    async def _next_run(self) -> None:
        """Where the log is followed, and this was the last run so far."""
        while self._wish.follow and not self._places and self._only is None and not self._closed:
            changed = self._process.live.changed
            if self._process.has_begun(self._run + 1):
                self._places.append(Place(self._run + 1))
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

    def source(self, run: int, wish: LogWish) -> Source:
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
