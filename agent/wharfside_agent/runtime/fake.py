"""The runtime contract in memory: what stands on it can be tested without root.

It passes the contract suite in all but the kernel's own outcomes.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from wharfside_agent.core.exit_status import Ended
from wharfside_agent.core.policy.limits import amounts_in
from wharfside_agent.core.policy.rules import EVERYBODY
from wharfside_agent.ports.process import PLAIN_IO, NotExited, ProcessTrace, Root
from wharfside_agent.ports.runtime import Dump, Planned, RunPlan
from wharfside_agent.ports.watcher import MonitorGone, OomCounters
from wharfside_agent.runtime.fake_machine import FakeBody, FakeMachine, FakeProcess
from wharfside_agent.runtime.fake_streams import FakeStreams
from wharfside_protocol.checkpoints import CheckpointFlags
from wharfside_protocol.commands import Output
from wharfside_protocol.errors import Invalid, NotFound, RuntimeFailed, Unsupported
from wharfside_protocol.exits import StatusSource
from wharfside_protocol.io_commands import TerminalSize
from wharfside_protocol.specs import ContainerSpec, Io, Limits, ProcessSpec
from wharfside_protocol.states import INIT
from wharfside_protocol.stats import CpuStats, MemoryStats, PidsStats, Stats, Usage
from wharfside_protocol.times import to_timestamp
from wharfside_protocol.views import CriuInfo, RuntimeInfo

NAME = "fake"


class FakeRuntime:
    """ports.runtime.Runtime. One machine may be given to several, one after the other."""

    def __init__(self, machine: FakeMachine | None = None) -> None:
        self.machine = machine or FakeMachine()

    @property
    def available(self) -> Sequence[RuntimeInfo]:
        return [RuntimeInfo(name=NAME, version="1", path="/fake")]

    def check(self, spec: ContainerSpec, rules: str = EVERYBODY) -> Planned:
        if spec.checkpointable:
            raise Unsupported("no runtime of this node can checkpoint")
        if spec.io.fifo:
            raise Unsupported("the fake has no FIFOs", field="io.fifo")
        if spec.process is None:
            raise Invalid("a container needs a process with args", field="process")
        return Planned(NAME, amounts_in(spec.limits))

    @property
    def criu(self) -> CriuInfo:
        return CriuInfo(usable=False, says="the fake has no CRIU")

    async def check_image(self, folder: Path, spec: ContainerSpec, rules: str) -> None:
        raise Unsupported("the fake cannot restore")

    async def restore(self, plan: RunPlan, folder: Path, flags: CheckpointFlags) -> FakeContainer:
        raise Unsupported(self.criu.says)

    async def restored(self, plan: RunPlan) -> FakeContainer:
        raise NotFound(f"{_id(plan)} was not restored")

    async def create(self, plan: RunPlan, seen_oom_kills: int = 0) -> FakeContainer:
        assert plan.spec.process is not None
        init = self.machine.process(plan.spec.process.args, plan.spec.io, init=True)
        body = FakeBody(plan.spec.limits or Limits(), {INIT: init})
        self.machine.bodies[_id(plan)] = body
        return FakeContainer(self.machine, _id(plan), body, seen_oom_kills)

    async def reattach(
        self, plan: RunPlan, traces: Sequence[ProcessTrace], seen_oom_kills: int = 0
    ) -> FakeContainer:
        body = self.machine.bodies.get(_id(plan))
        if body is None:
            raise NotFound(f"nothing is left of {_id(plan)}")
        return FakeContainer(self.machine, _id(plan), body, seen_oom_kills)

    async def undo(self, plan: RunPlan, *, keep_layer: bool = False) -> None:
        _delete(self.machine, _id(plan))


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
            name: FakeHandle(self, name, process) for name, process in body.processes.items()
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
        handle = self._processes[exec_id] = FakeHandle(self, exec_id, process)
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
        _delete(self._machine, self._id)

    def forget(self, process: str) -> None:
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


class FakeHandle:
    """ports.runtime.Process and its ExitWatch in one; an eventfd stands for the pidfd."""

    def __init__(self, container: FakeContainer, name: str, body: FakeProcess) -> None:
        self._container = container
        self._name = name
        self.body = body
        self._gone_told = not body.watched
        self._ring = asyncio.Event()
        self._streams = FakeStreams(body)
        self._exit_fd = -1 if body.wait_status is not None else os.eventfd(0)
        body.doorbells.append(self._rung)

    @property
    def id(self) -> str:
        return self._name

    @property
    def container(self) -> FakeContainer:
        return self._container

    @property
    def spec(self) -> Mapping[str, Any]:
        return {"args": list(self.body.args)}

    @property
    def trace(self) -> ProcessTrace:
        return ProcessTrace(self._name, self.body.identity, self.body.monitor)

    @property
    def pid(self) -> int:
        return self.body.pid

    @property
    def exit_fd(self) -> int:
        return self._exit_fd

    @property
    def watch(self) -> FakeHandle:
        return self

    @property
    def fifos(self) -> None:
        return None

    @property
    def streams(self) -> FakeStreams:
        return self._streams

    @property
    def ended(self) -> Ended | None:
        return self.body.ended()

    async def next(self) -> Ended | MonitorGone:
        while True:
            self._ring.clear()
            if not self.body.watched and not self._gone_told:
                self._gone_told = True
                return MonitorGone(StatusSource.WAIT)
            if (ended := self.ended) is not None:
                return ended
            await self._ring.wait()

    def exit_status(self) -> Ended:
        if (ended := self.ended) is None:
            raise NotExited(f"process {self._name} still runs")
        return ended

    def signal(self, number: int) -> None:
        if self.ended is not None:
            raise NotFound(f"process {self._name} is over: nothing to signal")
        self.body.signal(number)

    def look(self) -> None:
        self.body.ring()

    def lose_monitor(self) -> None:
        """The monitor is killed, its process lives on."""
        self.body.watched = False
        self.body.ring()

    def output(self, limit: int) -> Output:
        out, err = self.body.stdout, self.body.stderr
        return Output(
            stdout=out[:limit],
            stderr=err[:limit],
            stdout_truncated=len(out) > limit,
            stderr_truncated=len(err) > limit,
        )

    def discard(self) -> None:
        if self._name != INIT and self.ended is not None:
            self._container.forget(self._name)
            self.close()

    def close(self) -> None:
        self._streams.close()
        if self._exit_fd >= 0:
            os.close(self._exit_fd)
            self._exit_fd = -1
        if self._rung in self.body.doorbells:
            self.body.doorbells.remove(self._rung)

    def _rung(self) -> None:
        self._ring.set()
        if self.ended is not None and self._exit_fd >= 0:
            os.eventfd_write(self._exit_fd, 1)


def _id(plan: RunPlan) -> str:
    return f"{plan.incarnation.lower()}-{plan.run}"


def _delete(machine: FakeMachine, id_: str) -> None:
    body = machine.bodies.pop(id_, None)
    for process in () if body is None else body.processes.values():
        process.end(9)


def _fields(limits: Limits) -> list[tuple[str, int | str | None]]:
    return list(msgspec.structs.asdict(limits).items())
