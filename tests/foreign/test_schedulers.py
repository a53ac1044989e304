"""The schedulers of docs/orchestrators.md: each job once at a time, whatever dies meanwhile."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from tests.foreign.schedulers_kit import (
    QUICK,
    THE_GUIDES,
    Bounds,
    Scheduler,
    lives,
    never_two_at_once,
)
from tests.integration.bounds import TooLate
from tests.integration.fifos import Cues, shell
from tests.integration.fixtures import NEEDED
from tests.integration.told import Told
from tests.integration.world import World, start, stop
from tests.security.secured import Secured, agent_settings, secured_ground
from tests.support.agent import AgentProcess
from tests.support.cable import Cable, cable_to
from tests.support.eventually import eventually
from tests.support.requirements import missing, need

from wharfside_client import Wharfside

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
QUICK_AGENT = Path(__file__).parents[1] / "support" / "quick_presence_agent.py"
A, B = "node-a", "node-b"
LANGUAGES = ("python", "javascript")
NEEDS = {
    "anywhere": {"disk": "ssd"},
    "moved": {"disk": "ssd"},
    "stays": {"zone": "a"},
    "quick": {"zone": "b"},
    "late": {"zone": "b"},
    "unseen": {"zone": "b"},
}
ENDS_ON_CUE = shell("echo begun >/cue/ready; read code </cue/go; exit $code")


@dataclass
class Site:
    """`cable` is node-a's only way to the server."""

    bounds: Bounds
    secured: Secured
    world: World
    cable: Cable
    fleet: Wharfside
    told: Told
    agents: dict[str, AgentProcess]
    stack: AsyncExitStack

    def job(self, name: str, needs: dict[str, str]) -> tuple[dict[str, Any], Cues]:
        """One that says when it has begun, and ends with the code that it is told."""
        cues = Cues(self.world.roots / "cues" / name)
        self.stack.callback(cues.close)
        mount = {"source": str(cues.folder), "target": "/cue", "readonly": False}
        spec = {
            "source": {"rootfs": str(self.world.rootfs)},
            "process": {"args": list(ENDS_ON_CUE)},
            "mounts": [mount],
            "limits": {"memory_bytes": 32 << 20},
            "grace_s": self.bounds.grace,
        }
        return {"name": name, "needs": needs, "spec": spec}, cues

    def scheduler(self, language: str, jobs: list[dict[str, Any]]) -> Scheduler:
        programs = {
            "python": (sys.executable, str(EXAMPLES / "scheduler.py")),
            "javascript": (shutil.which("node") or "node", str(EXAMPLES / "scheduler.mjs")),
        }
        settings = self.secured.settings("ops")
        environment = {
            "NATS_URL": self.secured.server.url,
            "NATS_NKEY": settings.nkey or "",
            "WHARFSIDE_PEER": "ops",
        }
        made = Scheduler(
            programs[language], jobs, self.world.folder / language, environment, self.bounds
        )
        self.stack.push_async_callback(made.close)
        return made

    async def nothing_left(self) -> None:
        async def empty() -> bool:
            return not [
                view for name in (A, B) for view in await self.fleet.node(name).list(all=True)
            ]

        await eventually(empty, "every container is deleted", within_s=60, every_s=0.1)


@asynccontextmanager
async def labeled_agent(
    world: World, secured: Secured, name: str, url: str, bounds: Bounds
) -> AsyncIterator[AgentProcess]:
    with world.agent(name, server=url) as agent:
        if bounds is QUICK:
            agent.program = (str(QUICK_AGENT),)
        agent.nats = agent_settings(secured, name)
        agent.write_config()
        labels = f'zone = "{name[-1]}", disk = "ssd"'
        agent.config.write_text(agent.config.read_text().replace('zone = "test"', labels))
        await start(agent)
        yield agent
        assert await stop(agent) == 0


@pytest.fixture(
    params=[
        pytest.param(QUICK, id="quick"),
        pytest.param(THE_GUIDES, id="as-in-the-guide", marks=pytest.mark.soak),
    ]
)
def bounds(request: pytest.FixtureRequest) -> Bounds:
    return cast("Bounds", request.param)


@pytest.fixture
async def site(tmp_path: Path, bounds: Bounds) -> AsyncIterator[Site]:
    for name in NEEDED:
        need(name)
    grounds = secured_ground(tmp_path)
    secured, world = await asyncio.to_thread(grounds.__enter__)
    try:
        async with AsyncExitStack() as stack:
            cable = await stack.enter_async_context(cable_to(secured.server.port))
            urls = {A: cable.url, B: secured.server.url}
            agents = {
                name: await stack.enter_async_context(
                    labeled_agent(world, secured, name, url, bounds)
                )
                for name, url in urls.items()
            }
            fleet = await stack.enter_async_context(secured.fleet("ops"))
            told = Told(lambda: "\n".join(agent.log_text() for agent in agents.values()))
            events = await stack.enter_async_context(fleet.events())
            following = asyncio.create_task(told.follow(events))
            stack.callback(following.cancel)
            yield Site(bounds, secured, world, cable, fleet, told, agents, stack)
    finally:
        await asyncio.to_thread(grounds.__exit__, None, None, None)


def can_run(language: str) -> bool:
    packages = Path(__file__).parent / "js" / "node_modules"
    return language == "python" or (missing("node") is None and packages.is_dir())


@dataclass
class Play:
    """One scheduler with jobs of its own; several of them share the nodes."""

    site: Site
    language: str

    def __post_init__(self) -> None:
        made = {name: self.site.job(self.name(name), needs) for name, needs in NEEDS.items()}
        self.jobs = {name: job for name, (job, _) in made.items()}
        self.cues = {name: cues for name, (_, cues) in made.items()}
        self.scheduler = self.site.scheduler(self.language, list(self.jobs.values()))
        self.on_a: set[str] = set()

    def name(self, job: str) -> str:
        return f"{self.language}-{job}"

    async def told(self, told: str, job: str, node: str | None = None) -> dict[str, Any]:
        return await self.scheduler.until(told, self.name(job), node)

    async def begin(self) -> None:
        """A job is placed, and the scheduler is killed before it has heard more of it."""
        await self.scheduler.start()
        assert await self.scheduler.next(), self.scheduler.errors
        await self.scheduler.again()
        for name in self.jobs:
            await self.runs(name)

    async def runs(self, name: str) -> None:
        """An attempt of it has begun that was not seen before.

        Node-a may take a quarter of a minute to try its mended cable again.
        """
        try:
            assert await self.cues[name].ready(self.site.bounds.within) == "begun"
        except TooLate as late:
            told, errors = self.scheduler.told, self.scheduler.errors
            raise TooLate(f"{name} does not run: {told}\n{errors}") from late

    async def end_unseen(self) -> None:
        """One ends as the scheduler looks on, and one while there is none."""
        self.cues["quick"].go("3")
        ended = await self.told("ended", "quick")
        assert (ended["exit_code"], ended["node"]) == (3, B)
        await self.scheduler.kill()
        self.cues["unseen"].go("5")
        unseen = self.name("unseen")
        await self.site.told.until(
            lambda e: e.type == "exited" and (e.container or "").startswith(unseen), unseen
        )
        await self.scheduler.start()
        assert (await self.told("ended", "unseen"))["exit_code"] == 5
        placed = self.scheduler.placed()
        self.on_a = {name for name in self.jobs if placed.get(self.name(name)) == A}
        assert "stays" in self.on_a
        assert self.on_a & {"anywhere", "moved"}

    async def be_moved(self) -> None:
        """Node-a is cut off, and the scheduler dies while it counts."""
        await self.scheduler.again()
        for name in self.on_a - {"stays"}:
            await self.told("given up", name)
            await self.told("placed", name, B)
            await self.runs(name)

    async def end(self) -> None:
        """What may run on node-a alone begins there again."""
        await self.told("given up", "stays")
        await self.runs("stays")
        for name in ("anywhere", "moved", "stays", "late"):
            self.cues[name].go("0")
        assert await self.scheduler.ended() == 0, self.scheduler.errors

    def check(self) -> None:
        """By what the nodes have told."""
        for name, job in self.jobs.items():
            ran = lives(self.site.told.events, job["name"])
            assert never_two_at_once(ran), ran
            assert all(job["needs"].get("zone") in (None, life.node[-1]) for life in ran)
            assert len(ran) == (2 if name in self.on_a else 1), ran
        ended = [line["job"] for line in self.scheduler.told if line["told"] == "ended"]
        assert sorted(ended) == sorted(job["name"] for job in self.jobs.values())


async def test_each_job_runs_once_at_a_time(site: Site) -> None:
    """By labels; moved when its node is cut off; the schedulers killed at every turn."""
    plays = [Play(site, language) for language in LANGUAGES if can_run(language)]
    await together(play.begin() for play in plays)
    await together(play.end_unseen() for play in plays)
    site.cable.cut()
    await together(play.be_moved() for play in plays)
    site.cable.mend()
    await together(play.end() for play in plays)
    await site.nothing_left()
    for play in plays:
        play.check()


async def together(all_of: Iterable[Coroutine[Any, Any, None]]) -> None:
    async with asyncio.TaskGroup() as group:
        for each in all_of:
            group.create_task(each)
