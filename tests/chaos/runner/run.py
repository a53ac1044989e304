"""One run: the work and the faults beside each other, then all quiet, then the comparison."""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.runner.checker import check
from tests.chaos.runner.faults import PACES, Faults, Pace
from tests.chaos.runner.ground import Ground, Watch, bootstrap, small_disk
from tests.chaos.runner.jobs import Site
from tests.chaos.runner.kinds import KINDS, Kind
from tests.chaos.runner.leftovers import descriptors, folders_of
from tests.chaos.runner.node import ChaosAgent, NeverReady
from tests.chaos.runner.orchestrator import JOB_S, Orchestrator
from tests.chaos.runner.records import Records
from tests.chaos.runner.stories import stories
from tests.chaos.runner.truth import Truth
from tests.chaos.runner.verdict import Verdict
from tests.support.agent import AgentProcess
from tests.support.eventually import NeverHappened, eventually
from tests.support.leaks import LeakGate

from wharfside_agent.core.journal import Step
from wharfside_client import EventFilter, Node, Wharfside, connect
from wharfside_protocol.events import Event

PROGRESS_S = 5.0
DRAIN_S = 60.0
CLOSE_S = 30.0


LONGEST = 5.0
"""So many times its seconds a run may take until there was `enough`."""


@dataclass(frozen=True)
class Enough:
    """What a run has at least: how much is done in a second is the machine's luck."""

    commands: float = 0
    jobs: float = 0
    deaths: float = 0
    """Of the agent."""


@dataclass(frozen=True)
class Plan:
    """What to do for how long. `module`: what runs in the agent's place, to break it."""

    seconds: float
    seed: int
    pace: Pace = PACES["heavy"]
    enough: Enough = Enough()
    disk: bool = False
    node: str = "chaos"
    kinds: tuple[Kind, ...] = KINDS
    steps: tuple[Step, ...] = tuple(Step)
    module: tuple[str, ...] = ("wharfside_agent",)
    environment: dict[str, str] = field(default_factory=dict)
    say: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True)


@dataclass
class Outcome:
    """The verdict with what it was drawn from."""

    verdict: Verdict
    truth: Truth
    events: list[Event]
    records: Records

    def stories(self) -> str:
        found = stories(self.verdict.findings, self.truth, self.events, self.records)
        rest = [str(each) for each in self.verdict.findings if each.container is None]
        return "\n".join([*rest, *found])


def run_chaos(ground: Ground, plan: Plan) -> Outcome:
    """Blocks until the run is over and everything is gone again."""
    folder = ground.folder / plan.node
    folder.mkdir(parents=True)
    records, events = Records(), list[Event]()
    watch = Watch(ground.folder / f"{plan.node}.observed")
    gate = LeakGate(folder)
    try:
        with ExitStack() as stack:
            disk = stack.enter_context(small_disk(folder / "state")) if plan.disk else None
            run = _Run(ground, plan, records, folder, gate.cgroup, watch.token, disk)
            events = asyncio.run(run.whole())
    finally:
        gate.spare(*(server.pid for server in ground.servers))
        records.left += gate.close().lines()
        truth = watch.close()
    verdict = check(truth, events, records)
    verdict.seed, verdict.seconds = plan.seed, plan.seconds
    if truth.overruns:
        raise RuntimeError(f"the kernel's buffer ran over {truth.overruns} times")
    return Outcome(verdict, truth, events, records)


class _Run:
    def __init__(
        self,
        ground: Ground,
        plan: Plan,
        records: Records,
        folder: Path,
        cgroup: str,
        token: str,
        disk: Path | None,
    ) -> None:
        config = AgentProcess(plan.node, ground.bus.url, folder, ground.rootfs.parent, cgroup)
        self._ground, self._plan, self._records = ground, plan, records
        self._folder, self._token = folder, token
        self._agent = ChaosAgent(config, plan.module, plan.environment)
        self._faults = Faults(
            self._agent,
            ground.bus,
            records,
            folder,
            plan.pace,
            plan.seed,
            disk,
            plan.steps,
        )
        self._fresh: dict[str, int] = {}

    async def whole(self) -> list[Event]:
        """All events of the node, from its first to its last life."""
        try:
            return await self._play()
        finally:
            await self._end()

    async def _play(self) -> list[Event]:
        await bootstrap(self._ground, self._plan.node)
        await self._agent.start()
        async with connect(self._ground.bus.url) as fleet:
            node = fleet.node(self._plan.node)
            await node.ping(unreachable_s=30)
            self._fresh = descriptors(self._agent.process.pid)  # type: ignore[union-attr]
            site = Site(node, self._ground.rootfs, self._records, self._token, itertools.count(1))
            work = Orchestrator(site, self._plan.seed, self._plan.kinds)
            await self._work(work)
            if not self._agent.running:
                self._records.stuck.append("agent: it was not running at the end")
                await self._agent.start()
            await node.ping(unreachable_s=30)
            await work.clear()
            return await self._read(fleet, node)

    async def _work(self, work: Orchestrator) -> None:
        """Work and faults until the time is up, and there was enough of both; a job that never
        ends is written down."""
        working = asyncio.create_task(work.run())
        hurting = asyncio.create_task(self._faults.run())
        progress = asyncio.create_task(self._progress(work, time.monotonic()))
        try:
            await asyncio.wait({hurting, working}, timeout=self._plan.seconds)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._plan.seconds * (LONGEST - 1)):
                    while not (self._had_enough(work) or hurting.done() or working.done()):
                        await asyncio.sleep(0.1)
            work.over.set()
            self._faults.over.set()
            await hurting
            await asyncio.wait_for(working, 2 * JOB_S)
        except ExceptionGroup as group:
            failed = group.subgroup(NeverReady)
            if failed is None:
                raise
            self._records.stuck.append(f"agent: {failed.exceptions[0]}")
        finally:
            for task in (working, hurting, progress):
                task.cancel()
            await asyncio.wait({working, hurting, progress})

    def _had_enough(self, work: Orchestrator) -> bool:
        enough, commands = self._plan.enough, len(self._records.commands)
        met = commands >= enough.commands and work.done >= enough.jobs
        return met and self._deaths >= enough.deaths

    @property
    def _deaths(self) -> int:
        """Of the agent."""
        return sum(fault.kind.startswith("agent") for fault in self._records.faults)

    async def _progress(self, work: Orchestrator, began: float) -> None:
        while True:
            await asyncio.sleep(PROGRESS_S)
            self._plan.say(
                f"{time.monotonic() - began:5.0f} s: {work.done} jobs, "
                f"{len(self._records.commands)} commands, {len(self._records.faults)} faults "
                f"({self._deaths} of the agent)"
            )

    async def _read(self, fleet: Wharfside, node: Node) -> list[Event]:
        """The whole stream of the node, once its outbox is empty."""
        wanted = EventFilter(node=self._plan.node)

        async def drained() -> list[Event] | None:
            told = [event async for _seq, event in fleet.history(0, wanted=wanted)]
            through = (await node.info(unreachable_s=30)).published_through or 0
            return told if told and through <= max(event.seq for event in told) else None

        async def empty() -> bool:
            before = (await node.info(unreachable_s=30)).published_through
            await asyncio.sleep(0.3)
            return (await node.info(unreachable_s=30)).published_through == before

        try:
            await eventually(empty, "the outbox is empty", within_s=DRAIN_S)
            told = await eventually(drained, "all is in the stream", within_s=DRAIN_S, every_s=0.5)
        except NeverHappened as error:
            self._records.stuck.append(f"outbox: {error}")
            told = [event async for _seq, event in fleet.history(0, wanted=wanted)]
        await self._look_for_leftovers(told)
        return told or []

    async def _look_for_leftovers(self, told: list[Event]) -> None:
        """Of the node that has nothing to do any more, while its agent lives."""
        pid = self._agent.process.pid  # type: ignore[union-attr]

        def more() -> list[str]:
            extra = descriptors(pid) - self._fresh  # type: ignore[operator]
            return [f"descriptor {count} x {kind}" for kind, count in extra.items()]

        try:
            await eventually(lambda: not more(), "no descriptor too many", within_s=CLOSE_S)
        except NeverHappened:
            self._records.left += more()
        incarnations = {event.incarnation for event in told if event.incarnation}
        self._records.left += folders_of(incarnations, self._folder)

    async def _end(self) -> None:
        """The agent goes down as it should, whatever became of the run."""
        if self._agent.running and await self._agent.stop() is None:
            self._records.stuck.append("agent: did not go down at SIGTERM")
        self._agent.close()
