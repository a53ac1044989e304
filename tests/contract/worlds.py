"""The three worlds of the contract suite: crun, runc, and the fake that must behave as they do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from tests.contract.kernel import Kernel, kill
from ulid import ULID

from wharfside_agent.core.cgroup_paths import CgroupMounts
from wharfside_agent.core.exit_status import shell_code
from wharfside_agent.core.placement import Places
from wharfside_agent.ports.io import Piece, Source
from wharfside_agent.ports.process import PLAIN_IO, Process
from wharfside_agent.ports.runtime import Container, RunPlan, Runtime
from wharfside_agent.ports.watcher import Ended, Exits, MonitorGone, OomCounters
from wharfside_agent.runtime.bundle import Bundles, probe_machine
from wharfside_agent.runtime.driver import Driver
from wharfside_agent.runtime.fake import FakeRuntime
from wharfside_agent.runtime.fake_container import FakeContainer
from wharfside_agent.runtime.fake_handle import FakeHandle
from wharfside_agent.runtime.fifos import Openings
from wharfside_agent.runtime.head_start import HeadStart
from wharfside_agent.runtime.kit import Kit
from wharfside_agent.runtime.log_rotation import LogLimits
from wharfside_agent.runtime.logs import DiskLogs
from wharfside_agent.runtime.probe import Probed
from wharfside_agent.watchers.exits import PidfdExits
from wharfside_agent.watchers.growth import OPENINGS, FileGrowth
from wharfside_agent.watchers.ooms import CgroupOoms
from wharfside_agent.watchers.pidfd import kernel_tells_exits
from wharfside_agent.watchers.stats import CgroupStats
from wharfside_protocol.exits import StatusSource
from wharfside_protocol.io_frames import StreamName
from wharfside_protocol.specs import ContainerSpec, Io, Limits, ProcessSpec
from wharfside_protocol.specs import Source as FileSource

BOUND_SECONDS = 60.0
"""Every wait of the suite; the virtual machine of tests/cgroup2 is ten times slower."""

SLEEP = ("/bin/sleep", "1000")


def shell(script: str) -> tuple[str, ...]:
    return ("/bin/sh", "-c", script)


def process(script: str) -> ProcessSpec:
    """An exec's."""
    return ProcessSpec(args=list(shell(script)))


@dataclass
class World:
    """A runtime under test. `kernel` is None for the fake, which has no outcomes to show."""

    name: str
    runtime: Runtime
    rootfs: Path
    kernel: Kernel | None = None
    kit: Kit | None = None
    probed: Probed | None = None
    log_limits: LogLimits = field(default_factory=LogLimits)
    former_logs: list[DiskLogs] = field(default_factory=list)
    containers: list[Container] = field(default_factory=list)
    plans: dict[str, RunPlan] = field(default_factory=dict)

    def plan(
        self,
        *args: str,
        limits: Limits | None = None,
        env: tuple[str, ...] = (),
        readonly: bool = False,
        io: Io = PLAIN_IO,
        incarnation: str | None = None,
        run: int = 1,
    ) -> RunPlan:
        """A plan of a new incarnation, or of a further run of one."""
        spec = ContainerSpec(
            source=FileSource(rootfs=str(self.rootfs), readonly=readonly),
            process=ProcessSpec(args=list(args), env=list(env)),
            io=io,
            limits=limits,
        )
        return RunPlan("c1", incarnation or str(ULID()), run, spec, self.name)

    async def create(
        self, *args: str, limits: Limits | None = None, io: Io = PLAIN_IO
    ) -> Container:
        return await self.create_as(self.plan(*args, limits=limits, io=io))

    async def create_as(self, plan: RunPlan) -> Container:
        container = self.keep(await bounded(self.runtime.create(plan)))
        self.plans[container.id] = plan
        return container

    async def run(self, *args: str, limits: Limits | None = None, io: Io = PLAIN_IO) -> Container:
        container = await self.create(*args, limits=limits, io=io)
        await bounded(container.start())
        return container

    def keep(self, container: Container) -> Container:
        """It is deleted when the test is over; that this leaves nothing is the leak gate's."""
        self.containers.append(container)
        return container

    def new_life(self) -> Runtime:
        """The runtime as the next life of the agent has it: nothing in memory is kept."""
        if isinstance(self.runtime, FakeRuntime):
            return FakeRuntime(self.runtime.machine)
        assert self.kit is not None and self.probed is not None
        self.former_logs.append(self.kit.logs)
        kit = replace(
            self.kit,
            exits=PidfdExits(),
            ooms=CgroupOoms(),
            logs=DiskLogs(self.kit.places, FileGrowth(), self.log_limits),
            openings=Openings(FileGrowth(OPENINGS)),
        )
        self.kit = kit
        return Driver(kit, self.probed)

    def limit_logs(self, limits: LogLimits) -> None:
        """For the containers that are made from now on."""
        self.log_limits = limits
        self.runtime = self.new_life()

    @property
    def logs(self) -> DiskLogs:
        """Of the latest life."""
        assert self.kit is not None
        return self.kit.logs

    def with_exits(self, exits: Exits) -> Runtime:
        assert self.kit is not None and self.probed is not None
        return Driver(replace(self.kit, exits=exits), self.probed)

    def lose_monitor(self, process: Process) -> None:
        """conmon dies of SIGKILL."""
        if isinstance(process, FakeHandle):
            process.lose_monitor()
        else:
            kill(process.trace.monitor.pid)

    def out_of_memory(self, container: Container) -> None:
        """A real container has its program for this; the fake is told."""
        if isinstance(container, FakeContainer):
            container.body.oom()

    async def clean(self) -> None:
        for container in reversed(self.containers):
            await bounded(container.delete())
            container.close()
        for logs in [*self.former_logs, *([self.kit.logs] if self.kit else [])]:
            logs.close()


T = TypeVar("T")


async def bounded(awaitable: Awaitable[T]) -> T:
    return await asyncio.wait_for(awaitable, BOUND_SECONDS)


async def end_of(process: Process) -> Ended:
    """The process's end, whatever is told before it."""
    while True:
        told = await bounded(process.watch.next())
        if isinstance(told, Ended):
            return told
        assert isinstance(told, MonitorGone)


def assert_ended(ended: Ended, wait_status: int) -> None:
    """Exact where the kernel tells (Linux 6.15); else conmon's word, and no signal claimed."""
    if ended.source is StatusSource.EXIT_FILE and not kernel_tells_exits():
        assert (ended.wait_status, ended.exit_file) == (None, shell_code(wait_status))
    else:
        assert ended.source in (StatusSource.PIDFD, StatusSource.WAIT)
        assert ended.wait_status == wait_status


def code_of(ended: Ended) -> int | None:
    """The code of an exec that may be over before anyone could open a pidfd of it."""
    return ended.exit_file if ended.wait_status is None else shell_code(ended.wait_status)


async def unlogged(source: Source) -> tuple[bytes, bytes]:
    """stdout and stderr to the source's end."""
    texts = {StreamName.STDOUT: b"", StreamName.STDERR: b""}
    while (piece := await bounded(source.read(1 << 20))) is not None:
        assert isinstance(piece, Piece)
        for chunk in piece.chunks:
            texts[chunk.stream] += chunk.data
    return texts[StreamName.STDOUT], texts[StreamName.STDERR]


async def next_oom(container: Container) -> OomCounters:
    return await bounded(anext(container.oom()))


def real_world(
    name: str,
    places: Places,
    mounts: CgroupMounts,
    cgroup: str,
    probed: Probed,
    rootfs: Path,
) -> World:
    """The driver on this machine, with `name` as the runtime of its plans."""
    kit = Kit(
        places=places,
        conmon=probed.conmon,
        mounts=mounts,
        delegated=cgroup,
        bundles=Bundles(
            places,
            [rootfs.parent],
            [rootfs.parent],
            probe_machine(mounts.version),
            take_filters=probed.take_filters,
        ),
        exits=PidfdExits(),
        ooms=CgroupOoms(),
        stats=CgroupStats(),
        criu=probed.criu,
        logs=DiskLogs(places, FileGrowth(), LogLimits()),
        openings=Openings(FileGrowth(OPENINGS)),
        head_start=HeadStart(mounts),
    )
    return World(name, Driver(kit, probed), rootfs, Kernel(places, mounts), kit, probed)
