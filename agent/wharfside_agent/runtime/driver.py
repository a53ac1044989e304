"""The driver: containers through crun or runc, each process under its own conmon."""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

from wharfside_agent.core.images import CRIU
from wharfside_agent.core.placement import RunPlace
from wharfside_agent.core.policy.rules import EVERYBODY
from wharfside_agent.ports.process import ProcessTrace
from wharfside_agent.ports.runtime import Planned, RunPlan
from wharfside_agent.runtime import argv, cgroups
from wharfside_agent.runtime.argv import MonitorDir, OciBinary
from wharfside_agent.runtime.commands import OciCommands
from wharfside_agent.runtime.conmon import Launched, launch
from wharfside_agent.runtime.container import RunContainer
from wharfside_agent.runtime.criu import criu_words, log_tail
from wharfside_agent.runtime.criu_environment import environment
from wharfside_agent.runtime.criu_watch import watched
from wharfside_agent.runtime.fifo_pumps import make_fifos
from wharfside_agent.runtime.identity import children
from wharfside_agent.runtime.image_check import check_image
from wharfside_agent.runtime.kit import Kit
from wharfside_agent.runtime.leftovers import end_naming, find_process
from wharfside_agent.runtime.mounts import unmount_below
from wharfside_agent.runtime.probe import Probed
from wharfside_protocol.checkpoints import CheckpointFlags
from wharfside_protocol.errors import Invalid, NotFound, RuntimeFailed
from wharfside_protocol.specs import ContainerSpec
from wharfside_protocol.states import INIT
from wharfside_protocol.views import CriuInfo, RuntimeInfo

RESTORING = "runc"
"""The one that restores, where the spec names none."""

RESTORE_SECONDS = 600.0
"""Gigabytes of memory have to be read."""


class Driver:
    """ports.runtime.Runtime over real parts."""

    def __init__(self, kit: Kit, probed: Probed) -> None:
        self._kit = kit
        self._probed = probed

    @property
    def available(self) -> Sequence[RuntimeInfo]:
        return [found.info for found in self._probed.usable]

    def check(self, spec: ContainerSpec, rules: str = EVERYBODY) -> Planned:
        name = self._probed.choose(spec.runtime, checkpointable=spec.checkpointable)
        return Planned(name, self._kit.bundles.check(spec, name, rules).limits)

    def expect(self) -> None:
        self._kit.head_start.give()

    async def create(self, plan: RunPlan, seen_oom_kills: int = 0) -> RunContainer:
        place = self._place(plan)
        return await self._made(plan, place, partial(self._launch, plan, place), seen_oom_kills)

    async def _made(
        self,
        plan: RunPlan,
        place: RunPlace,
        launching: Callable[[OciBinary], Awaitable[Launched]],
        seen_oom_kills: int = 0,
    ) -> RunContainer:
        oci = self._probed.binary(plan.runtime)
        self._kit.head_start.give()
        await self._prepared(plan, place)
        try:
            launched = await launching(oci)
            container = RunContainer(self._kit, oci, plan, place, seen_oom_kills)
            streams = container.streams(INIT)
            init = container.launched(INIT, launched, streams)
            streams.begin()
            container.pump(init)
        except BaseException:
            await asyncio.shield(self._undo_new(plan))
            raise
        return container

    @property
    def criu(self) -> CriuInfo:
        return self._kit.criu

    async def check_image(self, folder: Path, spec: ContainerSpec, rules: str) -> None:
        found = self._kit.bundles.rules_of(rules)
        try:
            await asyncio.to_thread(check_image, folder, spec, spec.runtime or RESTORING, found)
        except OSError as error:
            raise Invalid(f"the image is broken: {error.strerror}: {error.filename}") from error

    async def restore(self, plan: RunPlan, folder: Path, flags: CheckpointFlags) -> RunContainer:
        place = self._place(plan)
        restoring = partial(self._restore, plan, place, folder / CRIU, flags)
        return await self._made(plan, place, restoring)

    async def restored(self, plan: RunPlan) -> RunContainer:
        place, oci = self._place(plan), self._probed.binary(plan.runtime)
        inside = cgroups.pids(self._kit.cgroup(place))
        monitor = MonitorDir(place.monitor_dir(INIT))
        bundle = str(place.bundle)
        trace = find_process(INIT, monitor, bundle, self._kit.programs(oci), inside)
        if trace is None:
            raise NotFound(f"{place.runtime_id} was not restored")
        if await OciCommands(oci, place.runtime_id).state() not in ("running", "paused", "stopped"):
            raise NotFound(f"{place.runtime_id} was not restored to its end")
        return await self.reattach(plan, [trace])

    async def reattach(
        self, plan: RunPlan, traces: Sequence[ProcessTrace], seen_oom_kills: int = 0
    ) -> RunContainer:
        place = self._place(plan)
        if not place.bundle.is_dir():
            raise NotFound(f"nothing is left of {place.runtime_id}: {place.bundle} is gone")
        oci = self._probed.binary(plan.runtime)
        container = RunContainer(self._kit, oci, plan, place, seen_oom_kills)
        for trace in sorted(traces, key=lambda trace: trace.process != INIT):
            container.add(trace)
        await container.find_execs()
        return container

    async def undo(self, plan: RunPlan, *, keep_layer: bool = False) -> None:
        place, oci = self._place(plan), self._probed.binary(plan.runtime)
        await end_naming(place.runtime_id, self._kit.programs(oci))
        cgroups.signal_all(self._kit.cgroup(place), signal.SIGKILL)
        await asyncio.to_thread(self._lift, oci, place)
        await OciCommands(oci, place.runtime_id).delete()
        await cgroups.remove(self._kit.cgroup(place))
        await asyncio.to_thread(self._sweep, oci, place, keep_layer)

    async def _undo_new(self, plan: RunPlan) -> None:
        """A later run was given its layer, and leaves it as it found it."""
        await self.undo(plan, keep_layer=plan.run > 1)

    def _place(self, plan: RunPlan) -> RunPlace:
        return RunPlace(self._kit.places, plan.incarnation, plan.run)

    async def _prepared(self, plan: RunPlan, place: RunPlace) -> None:
        """What refuses leaves nothing."""
        if not self._kit.pace.quick:
            await self._prepared_in_thread(plan, place)
            return
        with self._kit.pace.watched():
            self._prepare(plan, place)

    async def _prepared_in_thread(self, plan: RunPlan, place: RunPlace) -> None:
        """Whoever is canceled waits for the thread, which cannot be, and undoes what it made."""
        work = asyncio.ensure_future(asyncio.to_thread(self._prepare, plan, place))
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.wait([work])
            if work.exception() is None:
                await asyncio.shield(self._undo_new(plan))
            raise

    def _prepare(self, plan: RunPlan, place: RunPlace) -> None:
        self._kit.bundles.prepare(plan, place, self._kit.cgroup(place).path)
        monitor = MonitorDir(place.monitor_dir(INIT))
        try:
            for folder in (place.monitors, monitor.folder, monitor.persist):
                folder.mkdir()
            place.logs.mkdir(parents=True, exist_ok=True)
            make_fifos(plan.spec.io, monitor.folder)
        except OSError as error:
            self._kit.bundles.remove(place, keep_layer=plan.run > 1)
            raise RuntimeFailed(
                f"cannot make the folders of {place.runtime_id}: {error}"
            ) from error

    async def _launch(self, plan: RunPlan, place: RunPlace, oci: OciBinary) -> Launched:
        monitor = MonitorDir(place.monitor_dir(INIT))
        streams = argv.Streams(plan.spec.io, place.log(INIT))
        words = argv.conmon_create(
            self._kit.conmon, oci, place.runtime_id, place.bundle, monitor, streams
        )
        return await launch(words, monitor, f"{oci.name} create", self._kit.settle)

    async def _restore(
        self, plan: RunPlan, place: RunPlace, images: Path, flags: CheckpointFlags, oci: OciBinary
    ) -> Launched:
        words = argv.conmon_restore(
            self._kit.conmon,
            oci,
            place.runtime_id,
            place.bundle,
            MonitorDir(place.monitor_dir(INIT)),
            argv.Streams(plan.spec.io, place.log(INIT)),
            images,
            flags,
        )
        monitor = MonitorDir(place.monitor_dir(INIT))
        try:
            async with watched(partial(_runtime_of, monitor)):
                return await launch(
                    words,
                    monitor,
                    f"{oci.name} restore",
                    self._kit.settle,
                    seconds=RESTORE_SECONDS,
                    environment=environment(self._kit.criu),
                )
        except RuntimeFailed as error:
            tail = log_tail(place.bundle / "restore.log")
            says = criu_words(tail)
            message = f"{oci.name} restore: {says}" if says else error.message
            raise RuntimeFailed(message, **error.details, log=tail) from error

    @staticmethod
    def _lift(oci: OciBinary, place: RunPlace) -> None:
        """A restore that was killed has the container's root mounted within runc's own state.

        `runc delete` would remove the container's files there (libcontainer, criu-root).
        """
        unmount_below(oci.root / place.runtime_id)
        unmount_below(place.bundle)

    def _sweep(self, oci: OciBinary, place: RunPlace, keep_layer: bool) -> None:
        """State that its runtime could no longer read, then all of ours."""
        shutil.rmtree(oci.root / place.runtime_id, ignore_errors=True)
        self._kit.bundles.remove(place, keep_layer=keep_layer)


def _runtime_of(monitor: MonitorDir) -> int | None:
    """The runtime that conmon has started, while it is at work."""
    try:
        return next(iter(children(int(monitor.conmon_pid_file.read_bytes()))), None)
    except (FileNotFoundError, ValueError):
        return None
