"""A container of the fake machine, as the runtime contract shows it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec

from wharfside_agent.ports.process import PLAIN_IO, Root
from wharfside_agent.ports.runtime import Dump
from wharfside_agent.ports.watcher import OomCounters
from wharfside_agent.runtime.fake_handle import FakeHandle
from wharfside_agent.runtime.fake_machine import FakeBody, FakeMachine
from wharfside_protocol.errors import NotFound, RuntimeFailed, Unsupported
from wharfside_protocol.io_commands import TerminalSize
from wharfside_protocol.specs import Io, Limits, ProcessSpec
from wharfside_protocol.states import INIT
from wharfside_protocol.stats import CpuStats, MemoryStats, PidsStats, Stats, Usage
from wharfside_protocol.times import to_timestamp


class FakeContainer:
    """ports.runtime.Container."""

    def __init__(self, machine: FakeMachine, id_: str, body: FakeBody, seen_kills: int) -> None:
        self._machine = machine
        self._id = id_
        self.body = body
        self._told_kills = seen_kills
        self._oom = asyncio.Event()
        self._closed = False
        body.oom_doorbells.append(self._oom.set)
        self._processes = {
            name: FakeHandle(self, name, process, self._forget)
            for name, process in body.processes.items()
        }

    @property
    def id(self) -> str:
        return self._id

    @property
    def bundle(self) -> Path:
        return Path("/fake") / self._id

    @property
    def cgroup(self) -> str:
        return f"/fake/{self._id}"

    @property
    def pid(self) -> int:
        return self.init.pid

    @property
    def init(self) -> FakeHandle:
        return self._processes[INIT]

    def processes(self) -> Sequence[FakeHandle]:
        return list(self._processes.values())

    async def state(self) -> str:
        if self._id not in self._machine.bodies:
            raise NotFound(f"fake knows no container {self._id}")
        return self.body.word

    async def start(self) -> FakeHandle:
        self._require("created", "start")
        self.body.state = "running"
        self.body.processes[INIT].run()
        return self.init

    async def exec(
        self, exec_id: str, spec: ProcessSpec, io: Io = PLAIN_IO, size: TerminalSize | None = None
    ) -> FakeHandle:
        self._require("running", "exec")
        process = self._machine.process(spec.args, io, init=False)
        if size is not None:
            process.size = (size.rows, size.columns)
        self.body.processes[exec_id] = process
        self.body.processes[INIT].dependents.append(process)
        handle = self._processes[exec_id] = FakeHandle(self, exec_id, process, self._forget)
        process.run()
        return handle

    async def find_execs(self) -> None:
        """An exec of the fake has no life apart from its handle."""

    async def pause(self) -> None:
        self._require("running", "pause")
        self.body.state = "paused"

    async def resume(self) -> None:
        self._require("paused", "resume")
        self.body.state = "running"

    async def update(self, limits: Limits) -> None:
        given = {name: value for name, value in _fields(limits) if value is not None}
        self.body.limits = msgspec.structs.replace(self.body.limits, **given)

    async def pre_dump(self, folder: Path, name: str) -> None:
        raise Unsupported("the fake has no CRIU")

    async def checkpoint(self, dump: Dump) -> None:
        raise Unsupported("the fake has no CRIU")

    async def describe(self, dump: Dump) -> None:
        raise Unsupported("the fake has no CRIU")

    async def dump_over(self, folder: Path) -> bool:
        return False

    async def freeze(self) -> None:
        await self.pause()

    def thaw(self) -> None:
        if self.body.word == "paused":
            self.body.state = "running"

    def stats(self) -> Stats:
        if self._id not in self._machine.bodies:
            raise NotFound(f"cgroup {self.cgroup} is gone")
        limits = self.body.limits
        alive = sum(each.wait_status is None for each in self.body.processes.values())
        return Stats(
            timestamp=to_timestamp(0),
            cgroup="v2",
            cpu=CpuStats(usage_us=1),
            memory=MemoryStats(usage_bytes=4096, limit_bytes=limits.memory_bytes),
            pids=PidsStats(current=alive, limit=limits.pids),
        )

    def usage(self) -> Usage | None:
        if self._id not in self._machine.bodies:
            return None
        told = self.stats()
        return Usage(
            uptime_us=1,
            cpu_us=1,
            memory_bytes=4096,
            memory_limit_bytes=self.body.limits.memory_bytes,
            pids=told.pids.current if told.pids else None,
            pids_limit=self.body.limits.pids,
        )

    def cpu_us(self) -> int | None:
        return 1 if self._id in self._machine.bodies else None

    async def oom(self) -> AsyncIterator[OomCounters]:
        while not self._closed:
            self._oom.clear()
            if self.body.oom_kills > self._told_kills:
                self._told_kills = self.body.oom_kills
                yield OomCounters(self.body.oom_kills)
            else:
                await self._oom.wait()

    def oom_counters(self) -> OomCounters | None:
        return OomCounters(self.body.oom_kills) if self._id in self._machine.bodies else None

    def borrow_root(self) -> Root:
        raise NotFound(f"fake has no files for {self._id}")

    def signal_all(self, number: int) -> None:
        for process in self.body.processes.values():
            process.signal(number)

    async def delete(self, *, keep_layer: bool = False) -> None:
        self._machine.remove(self._id)

    def _forget(self, process: str) -> None:
        del self._processes[process]

    def close(self) -> None:
        self._closed = True
        self._oom.set()
        if self._oom.set in self.body.oom_doorbells:
            self.body.oom_doorbells.remove(self._oom.set)
        for process in self.processes():
            process.close()

    def _require(self, state: str, what: str) -> None:
        if self.body.word != state:
            raise RuntimeFailed(f"fake {what}: container is {self.body.word}, not {state}")


def _fields(limits: Limits) -> list[tuple[str, int | str | None]]:
    return list(msgspec.structs.asdict(limits).items())
