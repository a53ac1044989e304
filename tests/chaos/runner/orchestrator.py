"""Random work, reproducible by its seed, until it is told to end; then all is cleared away."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import deque

from tests.chaos.runner.jobs import Job, Site, durable_known
from tests.chaos.runner.kinds import KINDS, Kind
from tests.chaos.runner.records import Command

from wharfside_protocol.errors import ErrorCode, NotFound, Unsupported, WharfsideError
from wharfside_protocol.node_commands import CommandState
from wharfside_protocol.views import ContainerView

WORKERS = 16
JOB_S = 180.0
"""No piece of work may take longer: each of its commands has a bound of its own."""

STAYING = 25
"""Containers that are left running; the oldest is ended when there are more."""

DURABLE_SHARE = 0.3
CLEAR_S = 90.0
KEPT_S = 160.0
"""A letter that five agents took and died with is delivered for the fifth time by then."""

QUIET_S = 30.0


class Orchestrator:
    def __init__(self, site: Site, seed: int, kinds: tuple[Kind, ...] = KINDS) -> None:
        self._site = site
        self._seed = seed
        self._kinds = kinds
        self._unsupported: set[str] = set()
        self._staying: deque[Job] = deque()
        self.over = asyncio.Event()
        self.done = 0

    async def run(self) -> None:
        """Works until `over` is set, and then brings every job that was begun to its end."""
        await asyncio.gather(*(self._worker(number) for number in range(WORKERS)))

    async def _worker(self, number: int) -> None:
        chance = random.Random(f"{self._seed}/worker/{number}")
        weights = [kind.weight for kind in self._kinds]
        while not self.over.is_set():
            (kind,) = chance.choices(self._kinds, weights)
            job = Job(self._site, kind.name, random.Random(chance.random()), durable=False)
            job.durable = self._durable(chance.random())
            if kind.name in self._unsupported:
                self._site.records.skipped[kind.name] += 1
                await asyncio.sleep(0)
            else:
                await self._do(kind, job)

    def _durable(self, chance: float) -> bool:
        if chance >= DURABLE_SHARE:
            return False
        if not durable_known():
            self._site.records.skipped["durable"] += 1
        return durable_known()

    async def _do(self, kind: Kind, job: Job) -> None:
        """Refusals and lost answers are a part of it; a job without an end is not."""
        try:
            async with asyncio.timeout(JOB_S):
                await kind.work(job)
        except Unsupported:
            self._unsupported.add(kind.name)
            self._site.records.skipped[kind.name] += 1
        except WharfsideError:
            await self._give_up(job)
        except TimeoutError:
            self._site.records.stuck.append(f"{job.name}: its work took over {JOB_S:.0f} s")
        self.done += 1
        if kind.stays:
            await self._stay(job)

    async def _give_up(self, job: Job) -> None:
        with contextlib.suppress(WharfsideError):
            await job.delete(force=True)

    async def _stay(self, job: Job) -> None:
        self._staying.append(job)
        if len(self._staying) > STAYING:
            await self._give_up(self._staying.popleft())

    async def clear(self) -> None:
        """All quiet: whatever is left is deleted, and each command asked for its end."""
        records = self._site.records
        end = time.monotonic() + CLEAR_S
        while views := await self._listed():
            if time.monotonic() > end:
                records.stuck += [f"{view.container}: {view.state}, not deleted" for view in views]
                break
            for view in views:
                job = Job(self._site, view.container, random.Random(0), durable=False)
                job.name = view.container
                await self._give_up(job)
        for command in records.commands:
            await self._settle(command)

    async def _listed(self) -> list[ContainerView]:
        return await self._site.node.list(all=True, unreachable_s=QUIET_S)

    async def _settle(self, command: Command) -> None:
        """What the node says of it now."""
        try:
            state = await self._finished(command.id, KEPT_S if command.kept else 0.0)
        except NotFound:
            command.settled = str(ErrorCode.NOT_FOUND)
            return
        command.settled = state.state
        if state.result is not None:
            command.settled_ok = state.result.ok

    async def _finished(self, id_: str, unknown_s: float) -> CommandState:
        """Its state, once it is done; bounded: what is not done by then is stuck.

        One that the mailbox has taken may be unknown so long: it is on its way.
        """
        began = time.monotonic()
        while True:
            try:
                state = await self._site.node.result(id_, unreachable_s=QUIET_S)
            except NotFound:
                if time.monotonic() > began + unknown_s:
                    raise
                await asyncio.sleep(0.5)
                continue
            if state.state == "done" or time.monotonic() > began + QUIET_S:
                return state
            await asyncio.sleep(0.2)
