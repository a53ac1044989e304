"""What is hurt, and when: one loop for each part, each with choices of its own from the seed.

The log of faults is written by the one who does them: the checker reads from it whether anyone
could have known what is told as unknown.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from tests.chaos.runner.node import ChaosAgent, NeverReady
from tests.chaos.runner.records import Fault, Records
from tests.chaos.runner.servers import CLUSTER_S, hurt_server
from tests.support.nats_cluster import NatsCluster
from tests.support.nats_server import NatsServer

from wharfside_agent.core.journal import Step
from wharfside_agent.services.journal import KILL_AT_VARIABLE
from wharfside_protocol.times import NANOSECONDS

STEP_S = 2.0
"""So long a life waits for its step to be reached; then it is killed as any other."""

AGAIN_S = 0.5
AFTER_FULL_NS = 5 * NANOSECONDS
"""An agent that has ended because its disk was full is found to be over some time later."""

REAPED_S = 3.0
"""pid 1 takes up to 1.7 s to reap an orphan."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between two faults of a part, at least and at most; None: it is left alone."""

    agent: tuple[float, float] | None
    server: tuple[float, float] | None
    monitor: tuple[float, float] | None
    disk: tuple[float, float] | None = None
    agent_kinds: Mapping[str, int] | None = None


AGENT_KINDS = {"agent-kill": 5, "agent-kill-at-step": 4, "agent-and-monitor-kill": 1}

PACES = {
    "none": Pace(None, None, None),
    "light": Pace(agent=(2.0, 6.0), server=(6.0, 15.0), monitor=(2.0, 6.0), disk=(5.0, 15.0)),
    "heavy": Pace(agent=(0.2, 2.0), server=(4.0, 12.0), monitor=(1.0, 4.0), disk=(4.0, 10.0)),
}


class Faults:
    """`disk`: the folder of the agent's state where it is a small tmpfs of its own."""

    def __init__(
        self,
        agent: ChaosAgent,
        bus: NatsServer | NatsCluster,
        records: Records,
        folder: Path,
        pace: Pace,
        seed: int,
        disk: Path | None,
        steps: tuple[Step, ...] = tuple(Step),
    ) -> None:
        self._agent = agent
        self._bus = bus
        self._records = records
        self._folder = folder
        self._pace = pace
        self._seed = seed
        self._disk = disk
        self._steps = steps
        self.over = asyncio.Event()

    async def run(self) -> None:
        """Until `over`; afterwards every part runs again.

        Raises:
            NeverReady: the agent does not start any more.
        """
        servers = self._pace.server
        if servers is not None and isinstance(self._bus, NatsCluster):
            servers = CLUSTER_S
        loops = [
            self._loop("agent", self._pace.agent, self._hurt_agent),
            self._loop("server", servers, self._hurt_server),
            self._loop("monitor", self._pace.monitor, self._hurt_monitor),
        ]
        if self._disk is not None:
            loops.append(self._loop("disk", self._pace.disk, self._fill_disk))
        async with asyncio.TaskGroup() as group:
            for loop in loops:
                group.create_task(loop)

    async def _loop(
        self,
        part: str,
        pace: tuple[float, float] | None,
        hurt: Callable[[random.Random], Awaitable[None]],
    ) -> None:
        if pace is None:
            return
        chance = random.Random(f"{self._seed}/{part}")
        while not self.over.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.over.wait(), chance.uniform(*pace))
            if not self.over.is_set():
                await hurt(chance)

    @asynccontextmanager
    async def _fault(self, kind: str, note: str = "") -> AsyncIterator[Fault]:
        fault = Fault(kind, time.time_ns(), note=note)
        self._records.faults.append(fault)
        yield fault
        fault.ended_at = time.time_ns()

    async def _hurt_agent(self, chance: random.Random) -> None:
        kinds = self._pace.agent_kinds or AGENT_KINDS
        (kind,) = chance.choices(list(kinds), list(kinds.values()))
        if kind == "agent-kill-at-step":
            await self._kill_at_step(chance)
        else:
            async with self._fault(kind) as fault:
                await self._end_agent(fault)
                if kind == "agent-and-monitor-kill":
                    await self._blind(chance)
                else:
                    await asyncio.sleep(chance.choice([0, 0, 0, 0.2, 1.0]))
                await self._begin_agent()

    async def _end_agent(self, fault: Fault, *, may_be_over: bool = False) -> None:
        """kill -9. One that has ended without being asked to is a bug, but for a full disk."""
        over = not self._agent.running
        pid = await self._agent.kill()
        if pid is not None:
            fault.pids.append(pid)
        if over and not may_be_over and not self._disk_was_full(fault.begun_at):
            code = self._agent.process.returncode if self._agent.process else None
            self._records.stuck.append(f"agent: ended by itself, exit status {code}")

    async def _begin_agent(self) -> None:
        """As a service manager does: once more, where a full disk lets it not begin."""
        began = time.time_ns()
        while not await self._agent.start():
            if not self._disk_was_full(began):
                raise NeverReady(f"the agent ended by itself:\n{self._agent.log_tail()}")
            await asyncio.sleep(AGAIN_S)

    def _disk_was_full(self, since: int) -> bool:
        """At some time from a little before `since` on."""
        return any(
            fault.kind == "disk-full" and (fault.ended_at or since) > since - AFTER_FULL_NS
            for fault in self._records.faults
        )

    async def _kill_at_step(self, chance: random.Random) -> None:
        """One life that ends itself at a step of its journal, wherever that comes."""
        step = chance.choice(self._steps)
        async with self._fault("agent-kill") as fault:
            await self._end_agent(fault)
            ready = await self._agent.start(**{KILL_AT_VARIABLE: str(step)})
        if ready:
            await self._agent.ended_within(STEP_S)
        kind = "agent-kill" if self._agent.running else "agent-kill-at-step"
        async with self._fault(kind, note=str(step)) as fault:
            await self._end_agent(fault, may_be_over=True)
            await self._begin_agent()

    async def _blind(self, chance: random.Random) -> None:
        """No agent, no monitor, and the process ends: nobody can know how."""
        for monitor, children in _pick(chance, self._monitors(), 2):
            await self._kill_monitor(monitor, children)
            for child in children:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, 9)
        end = time.monotonic() + chance.choice([0.0, REAPED_S])
        while time.monotonic() < end:
            await asyncio.sleep(0.1)

    async def _hurt_monitor(self, chance: random.Random) -> None:
        for monitor, children in _pick(chance, self._monitors(), 1):
            await self._kill_monitor(monitor, children)

    async def _kill_monitor(self, monitor: psutil.Process, children: list[int]) -> None:
        async with self._fault("monitor-kill") as fault:
            fault.pids, fault.victims = [monitor.pid], children
            with contextlib.suppress(psutil.NoSuchProcess):
                # While it creates, what will be init is its runtime's child, not yet its own.
                below = [each.pid for each in monitor.children(recursive=True)]
                fault.victims = sorted({*children, *below})
                monitor.kill()

    def _monitors(self) -> list[tuple[psutil.Process, list[int]]]:
        """Every conmon of this run with its children, as the kernel tells them."""
        found = []
        for pid in psutil.pids():
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(pid)
                if process.name() == "conmon" and str(self._folder) in " ".join(process.cmdline()):
                    found.append((process, [child.pid for child in process.children()]))
        return found

    async def _hurt_server(self, chance: random.Random) -> None:
        await hurt_server(self._bus, chance, self._fault)

    async def _fill_disk(self, chance: random.Random) -> None:
        assert self._disk is not None
        filler = self._disk / "filler"
        async with self._fault("disk-full"):
            await asyncio.to_thread(_fill, filler)
            await asyncio.sleep(chance.choice([0.2, 1.0, 2.0]))
            filler.unlink()


def _pick(
    chance: random.Random, monitors: list[tuple[psutil.Process, list[int]]], count: int
) -> list[tuple[psutil.Process, list[int]]]:
    return chance.sample(monitors, min(count, len(monitors)))


def _fill(path: Path) -> None:
    """To the last byte."""
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        size = 1 << 20
        while size:
            try:
                file.write(bytes(size))
            except OSError:
                size //= 2
