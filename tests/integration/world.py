"""A server, agents and what they work on: the ground of a module, and of each test on it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.integration.bounds import bounded
from tests.integration.fifos import ENDS_ON_CUE, SLEEPS, Cues
from tests.integration.told import Told
from tests.support.agent import START_SECONDS, AgentProcess, agent_process
from tests.support.event_order import violations
from tests.support.eventually import eventually
from tests.support.leaks import nothing_left
from tests.support.nats_server import NatsServer
from tests.support.rootfs import build_rootfs

from wharfside_client import Node, ServerSettings, Wharfside, connect
from wharfside_client.specs import container, process
from wharfside_protocol.commands import CreateArgs, CreateValue
from wharfside_protocol.errors import WharfsideError
from wharfside_protocol.events import Event
from wharfside_protocol.specs import ProcessSpec

_numbers = itertools.count(1)


@dataclass(frozen=True)
class World:
    """What the tests of a module share. `roots` is where bundles, rootfs and mounts may lie."""

    folder: Path
    server: NatsServer
    cgroup: str
    rootfs: Path

    @property
    def url(self) -> str:
        """Of the bus; in a cluster of all servers."""
        return self.server.url

    @property
    def roots(self) -> Path:
        return self.rootfs.parent

    @staticmethod
    def new_name(stem: str) -> str:
        """Nobody else has it: tests that share a server or a node do not meet."""
        return f"{stem}-{next(_numbers)}"

    @contextmanager
    def agent(self, name: str, *, server: str | None = None) -> Iterator[AgentProcess]:
        """An agent that is not started yet, with a folder of its own."""
        folder = self.folder / f"agent-{next(_numbers)}-{name}"
        url = server or self.url
        with agent_process(name, url, folder, self.roots, cgroup=self.cgroup) as agent:
            yield agent

    @contextmanager
    def running(self, name: str, settings: str = "") -> Iterator[AgentProcess]:
        """One that is on the bus, with `settings` (TOML) beside its own; it ends well."""
        with self.agent(name) as agent:
            if settings:
                agent.write_config(settings)
            agent.start(until="bus-connected")
            yield agent
            assert agent.stop() == 0


@contextmanager
def make_world(folder: Path, address: str = "127.0.0.1") -> Iterator[World]:
    """A bootstrapped server that listens at `address`; afterwards nothing is left, and all that
    was told is in order."""
    with nothing_left(folder) as gate:
        rootfs = build_rootfs(folder / "roots" / "busybox")
        with NatsServer(folder / "nats", config="max_payload: 8MB", address=address) as server:
            asyncio.run(bootstrap(server.url))
            yield World(folder, server, gate.cgroup, rootfs)
            broken = violations(asyncio.run(everything(server.url)))
        assert not broken, "\n".join(broken)


async def bootstrap(url: str) -> None:
    async with connect(url) as fleet:
        await fleet.setup.bootstrap()


async def everything(url: str) -> list[Event]:
    """All events that the stream has."""
    async with connect(url) as fleet:
        return [event async for _seq, event in fleet.history(0)]


@dataclass
class Site:
    """One test's view of one node."""

    world: World
    agent: AgentProcess
    fleet: Wharfside
    node: Node
    told: Told
    _stack: ExitStack = field(default_factory=ExitStack)

    def name(self, stem: str = "c") -> str:
        return self.world.new_name(stem)

    def cues(self) -> Cues:
        cues = Cues(self.world.roots / "cues" / str(next(_numbers)))
        self._stack.callback(cues.close)
        return cues

    def spec(self, name: str, args: tuple[str, ...] = SLEEPS, **others: Any) -> CreateArgs:
        return container(name, args, rootfs=str(self.world.rootfs), **others)

    async def run(
        self, args: tuple[str, ...] = SLEEPS, *, name: str | None = None, **others: Any
    ) -> str:
        """A container that runs `args`; its name."""
        name = name or self.name()
        await self.make(name, args, **others)
        return name

    async def make(self, name: str, args: tuple[str, ...] = SLEEPS, **others: Any) -> CreateValue:
        return await self.node.run(self.spec(name, args, **others))

    async def run_with_cues(self, args: tuple[str, ...] = ENDS_ON_CUE) -> tuple[str, Cues]:
        """One that can be told when to end."""
        cues = self.cues()
        return await self.run(args, mounts=[cues.mount]), cues

    async def clear(self) -> None:
        """Deletes whatever there is; only for a node that nobody else uses now."""
        for view in await self.node.list(all=True):
            with contextlib.suppress(WharfsideError):
                await self.node.delete(view.container, force=True)

    async def listed(self) -> None:
        """Waits until the node is among the fleet's: it answers before its presence is told."""

        async def found() -> bool:
            return any(each.node == self.agent.name for each in await self.fleet.nodes())

        await eventually(found, f"{self.agent.name} is listed", within_s=START_SECONDS)

    def close(self) -> None:
        self._stack.close()


@asynccontextmanager
async def open_site(
    world: World, agent: AgentProcess, settings: ServerSettings | None = None
) -> AsyncIterator[Site]:
    """`agent` may be down now, or not started yet. `settings`: as a user with rights."""
    async with connect(settings or world.url) as fleet:
        told = Told(lambda: f"log of {agent.name}:\n{_log_of(agent)}")
        async with fleet.events() as stream:
            following = asyncio.create_task(told.follow(stream))
            site = Site(world, agent, fleet, fleet.node(agent.name), told)
            try:
                yield site
            finally:
                following.cancel()
                await asyncio.wait({following})
                site.close()


@asynccontextmanager
async def visit(world: World, agent: AgentProcess) -> AsyncIterator[Site]:
    """A test's turn at an agent that others use, too: what it made is deleted afterwards."""
    async with open_site(world, agent) as site:
        await site.listed()
        yield site
        await site.clear()
        agent.drain()


def _log_of(agent: AgentProcess) -> str:
    return agent.log_text() if agent.process is not None else "(never started)"


def command(script: str) -> ProcessSpec:
    """An exec's process."""
    return process(["/bin/sh", "-c", script])


async def start(agent: AgentProcess, until: str = "bus-connected", **environment: str) -> None:
    """Starts it without holding up the loop of the test."""

    def begin() -> None:
        agent.start(until=until, **environment)

    await bounded(asyncio.to_thread(begin), f"start of {agent.name}", START_SECONDS + 5)


async def kill(agent: AgentProcess) -> None:
    await asyncio.to_thread(agent.kill)


async def restart(agent: AgentProcess, **environment: str) -> None:
    """kill -9, and a new life."""
    await kill(agent)
    await start(agent, **environment)


async def stop(agent: AgentProcess) -> int:
    return await asyncio.to_thread(agent.stop)
