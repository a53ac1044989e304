"""One run of one incarnation, driven through its runtime and watched by conmon."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import msgspec

from wharfside_agent.core.oci_config import exec_process
from wharfside_agent.core.placement import RunPlace
from wharfside_agent.core.resources import to_resources
from wharfside_agent.ports.io import Source
from wharfside_agent.ports.logs import LogName, LogWish
from wharfside_agent.ports.process import PLAIN_IO, ProcessTrace
from wharfside_agent.ports.runtime import Dump, RunPlan
from wharfside_agent.ports.watcher import OomCounters
from wharfside_agent.runtime import argv, cgroups, freezer
from wharfside_agent.runtime.argv import MonitorDir, OciBinary
from wharfside_agent.runtime.commands import OciCommands
from wharfside_agent.runtime.conmon import Launched, launch
from wharfside_agent.runtime.container_root import LentRoot, LentRoots, open_root
from wharfside_agent.runtime.dumps import Dumps
from wharfside_agent.runtime.fifo_pumps import FifoPumps, fifos_of, make_fifos
from wharfside_agent.runtime.identity import identify
from wharfside_agent.runtime.kit import Kit
from wharfside_agent.runtime.leftovers import end_exec, find_exec, monitor_over
from wharfside_agent.runtime.process import RunProcess
from wharfside_agent.runtime.streams import RunStreams
from wharfside_protocol.errors import NotFound
from wharfside_protocol.io_commands import TerminalSize
from wharfside_protocol.io_frames import StreamName
from wharfside_protocol.specs import Io, Limits, ProcessSpec
from wharfside_protocol.states import INIT
from wharfside_protocol.stats import Stats, Usage


class RunContainer:
    """ports.runtime.Container. Made by the driver, which adds init."""

    def __init__(
        self, kit: Kit, oci: OciBinary, plan: RunPlan, place: RunPlace, seen_oom_kills: int
    ) -> None:
        self._kit = kit
        self._oci = oci
        self._place = place
        self._cgroup = kit.cgroup(place)
        self._commands = OciCommands(oci, place.runtime_id)
        self._dumps = Dumps(kit, oci, plan, place)
        self._io = plan.spec.io
        self._limits = plan.spec.limits or Limits()
        self._processes: dict[str, RunProcess] = {}
        self._pumps: dict[str, FifoPumps] = {}
        self._roots = LentRoots()
        self._oom = kit.ooms.arm(self._cgroup, seen_oom_kills)

    @property
    def id(self) -> str:
        return self._place.runtime_id

    @property
    def bundle(self) -> Path:
        return self._place.bundle

    @property
    def cgroup(self) -> str:
        return self._cgroup.path

    @property
    def pid(self) -> int:
        return self.init.pid

    @property
    def init(self) -> RunProcess:
        return self._processes[INIT]

    def processes(self) -> Sequence[RunProcess]:
        return list(self._processes.values())

    def add(self, trace: ProcessTrace) -> RunProcess:
        """Watches a process that is there, or was, from an earlier life; init comes first."""
        streams = self.streams(trace.process)
        process = self._watched(trace, streams, new=False)
        streams.resume()
        self.pump(process)
        return process

    def launched(self, process: str, launched: Launched, streams: RunStreams) -> RunProcess:
        """The same for one that was just made."""
        trace = ProcessTrace(process, identify(launched.pid), identify(launched.monitor))
        return self._watched(trace, streams, new=True)

    def streams(self, process: str, io: Io | None = None) -> RunStreams:
        """Of a process, also one that is still to be made; an exec's `io` is on disk, then."""
        monitor = MonitorDir(self._place.monitor_dir(process))
        folder = monitor.folder
        if process == INIT:
            io, folder = self._io, self._place.bundle
        elif io is None:
            io = _read_io(monitor.io)

        def exit_fd() -> int:
            known = self._processes.get(process)
            return -1 if known is None else known.exit_fd

        return RunStreams(io, folder, monitor.input_mark, exit_fd)

    def _watched(self, trace: ProcessTrace, streams: RunStreams, *, new: bool) -> RunProcess:
        monitor = MonitorDir(self._place.monitor_dir(trace.process))
        name = LogName(self._place.incarnation, self._place.run, trace.process)
        ctl = streams.ctl if streams.io.log else None
        process = RunProcess(
            container=self,
            trace=trace,
            watch=self._kit.exits.arm(trace.identity, trace.monitor, monitor.persist),
            log=self._kit.logs.watch(name, ctl, new=new),
            spec=self._spec_of(trace.process, monitor),
            streams=streams,
            fifos=fifos_of(streams.io, monitor.folder),
        )
        self._processes[trace.process] = process
        return process

    def pump(self, process: RunProcess) -> None:
        """Begins with its FIFOs, where it has some; their readers may come after its end."""
        if process.fifos is None:
            return
        name = LogName(self._place.incarnation, self._place.run, process.id)
        streams, folder = process.streams, MonitorDir(self._place.monitor_dir(process.id)).folder

        def read(stream: StreamName, offset: int) -> Source:
            if not streams.io.log:
                return streams.unlogged(whole=True)
            errors = stream is StreamName.STDERR
            wish = LogWish(offset=offset, follow=True, stdout=not errors, stderr=errors)
            return self._kit.logs.source(name, wish)

        self._pumps[process.id] = FifoPumps(streams, folder, read, self._kit.openings)

    def forget(self, process: str) -> None:
        """Drops an ended exec and its monitor's folder: they may come by the thousand."""
        if (pumps := self._pumps.pop(process, None)) is not None:
            pumps.close()
        self._processes.pop(process).close()
        shutil.rmtree(self._place.monitor_dir(process))

    async def find_execs(self) -> None:
        """Adds the execs that were started but left no trace in the store.

        What is left of a launch that never came so far is ended: it would start later,
        and nobody would know of it.
        """
        programs = self._kit.programs(self._oci)
        for folder in sorted(self._place.monitor_dir(INIT).parent.glob("*")):
            if folder.name in self._processes:
                continue
            inside = cgroups.pids(self._cgroup)
            trace = find_exec(folder.name, MonitorDir(folder), programs, inside)
            if trace is not None:
                self.add(trace)
            else:
                await self._clear_exec(MonitorDir(folder))

    async def state(self) -> str:
        return await self._commands.state()

    async def start(self) -> RunProcess:
        await self._commands.start()
        return self.init

    async def exec(
        self, exec_id: str, spec: ProcessSpec, io: Io = PLAIN_IO, size: TerminalSize | None = None
    ) -> RunProcess:
        self._kit.head_start.give()
        monitor = MonitorDir(self._place.monitor_dir(exec_id))
        monitor.persist.mkdir(parents=True)
        process = exec_process(self.init.spec, spec, io, size)
        monitor.process_spec.write_bytes(msgspec.json.encode(process))
        monitor.io.write_bytes(msgspec.json.encode(io))
        make_fifos(io, monitor.folder)
        streams = self.streams(exec_id, io)
        try:
            launched = await self._launch_exec(exec_id, monitor, streams)
            streams.settle()
        except BaseException:
            streams.close()
            await self._clear_exec(monitor)
            raise
        added = self.launched(exec_id, launched, streams)
        self.pump(added)
        return added

    async def _launch_exec(
        self, exec_id: str, monitor: MonitorDir, streams: RunStreams
    ) -> Launched:
        kept = argv.Streams(streams.io, self._place.log(exec_id))
        words = argv.conmon_exec(self._kit.conmon, self._oci, self.id, monitor, kept)
        what, attach = f"{self._oci.name} exec", None if streams.io.log else streams.begin
        return await launch(words, monitor, what, self._kit.settle, attach)

    async def _clear_exec(self, monitor: MonitorDir) -> None:
        await end_exec(monitor, self._kit.programs(self._oci))
        shutil.rmtree(monitor.folder)

    async def pause(self) -> None:
        await self._commands.pause()

    async def resume(self) -> None:
        await self._commands.resume()

    async def update(self, limits: Limits) -> None:
        resources = to_resources(limits, self._cgroup.version, before=self._limits)
        await self._commands.update(resources)
        given = {name: value for name, value in _fields(limits) if value is not None}
        self._limits = msgspec.structs.replace(self._limits, **given)

    async def pre_dump(self, folder: Path, name: str) -> None:
        await self._dumps.pre_dump(folder, name)

    async def checkpoint(self, dump: Dump) -> None:
        await self._dumps.checkpoint(dump)

    async def describe(self, dump: Dump) -> None:
        await self._dumps.describe(dump)

    async def dump_over(self, folder: Path) -> bool:
        return await self._dumps.over(self.pid, folder)

    async def freeze(self) -> None:
        if not await freezer.freeze(self._cgroup):
            await self._commands.pause()

    def thaw(self) -> None:
        freezer.thaw(self._cgroup)

    def stats(self) -> Stats:
        return self._kit.stats.read(self._cgroup)

    def usage(self) -> Usage | None:
        return self._kit.stats.usage(self._cgroup)

    def cpu_us(self) -> int | None:
        return self._kit.stats.cpu_us(self._cgroup)

    async def oom(self) -> AsyncIterator[OomCounters]:
        while (counters := await self._oom.next()) is not None:
            yield counters

    def oom_counters(self) -> OomCounters | None:
        return self._oom.read()

    def borrow_root(self) -> LentRoot:
        folder = Path(self._kit.bundles.load_config(self._place)["root"]["path"])
        return self._roots.lend(open_root(self.pid, self.init.exit_fd, folder))

    def signal_all(self, number: int) -> None:
        cgroups.signal_all(self._cgroup, number)

    async def delete(self, *, keep_layer: bool = False) -> None:
        self._stop_pumps()
        await self._roots.recall()
        await self._commands.delete()
        for process in self.processes():
            await monitor_over(process.trace.monitor)
        await cgroups.remove(self._cgroup)
        if not keep_layer:
            self._kit.logs.hold(self._place.incarnation)
        await self._remove_folders(keep_layer)

    async def _remove_folders(self, keep_layer: bool) -> None:
        """In a thread where it may take long on any disk: a layer may hold a million files."""
        bundles, place = self._kit.bundles, self._place
        remove = partial(bundles.remove, place, keep_layer=keep_layer)
        if bundles.removes_little(place, keep_layer=keep_layer):
            await self._kit.pace.do(remove)
        else:
            await asyncio.to_thread(remove)

    def close(self) -> None:
        self._oom.close()
        self._stop_pumps()
        for process in self.processes():
            process.close()

    def _stop_pumps(self) -> None:
        while self._pumps:
            self._pumps.popitem()[1].close()

    def _spec_of(self, process: str, monitor: MonitorDir) -> Callable[[], Mapping[str, Any]]:
        """Read when it is asked for: a reattach of hundreds has no use for it."""
        if process == INIT:
            return cache(lambda: _read(self._place.bundle / "config.json")["process"])
        return cache(partial(_read, monitor.process_spec))


def _read(path: Path) -> dict[str, Any]:
    try:
        read: dict[str, Any] = msgspec.json.decode(path.read_bytes())
    except FileNotFoundError as error:
        raise NotFound(f"{path} is gone: its container was deleted") from error
    return read


def _read_io(path: Path) -> Io:
    """An agent that knew of no input wrote none."""
    return msgspec.json.decode(path.read_bytes(), type=Io) if path.exists() else PLAIN_IO


def _fields(limits: Limits) -> list[tuple[str, int | str | None]]:
    return list(msgspec.structs.asdict(limits).items())
