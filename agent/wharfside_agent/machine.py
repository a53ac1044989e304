"""What this machine gives the agent: its cgroups, its witnesses, its runtimes. Made once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog

from wharfside_agent.core.cgroup_paths import CgroupMounts
from wharfside_agent.core.placement import Places
from wharfside_agent.errors import NoRuntime
from wharfside_agent.ports.ground import Ground
from wharfside_agent.ports.logs import Logs
from wharfside_agent.ports.pressure import Stalls
from wharfside_agent.ports.runtime import Runtime
from wharfside_agent.runtime.bundle import Bundles, probe_machine
from wharfside_agent.runtime.delegation import delegated_path, settle_in
from wharfside_agent.runtime.driver import Driver
from wharfside_agent.runtime.favored_moves import favor
from wharfside_agent.runtime.fifos import Openings
from wharfside_agent.runtime.ground import MachineGround
from wharfside_agent.runtime.head_start import HeadStart
from wharfside_agent.runtime.kit import Kit
from wharfside_agent.runtime.log_keeping import Keeping
from wharfside_agent.runtime.log_rotation import LogLimits
from wharfside_agent.runtime.logs import DiskLogs
from wharfside_agent.runtime.priority import go_first
from wharfside_agent.runtime.probe import RUNTIMES, Probed, find_program, probe
from wharfside_agent.runtime.sealed import SealedPrograms
from wharfside_agent.services.rulebook import Rulebook
from wharfside_agent.settings import Settings
from wharfside_agent.watchers.exits import PidfdExits
from wharfside_agent.watchers.growth import OPENINGS, FileGrowth
from wharfside_agent.watchers.mounts import read_cgroup_mounts
from wharfside_agent.watchers.ooms import CgroupOoms
from wharfside_agent.watchers.pressure import read_pressure
from wharfside_agent.watchers.stalls import CgroupStalls
from wharfside_agent.watchers.stats import CgroupStats, read_machine
from wharfside_agent.watchers.subreaper import become_subreaper
from wharfside_protocol.errors import RuntimeFailed, WharfsideError
from wharfside_protocol.stats import Pressure, Usage

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Machine:
    """`delegated` is the cgroup path below which everything of this node lies.

    `rules` is the policy in force. `usage` reads the figures of the machine as a whole,
    `pressure` the stalls of the host and of all containers together, `stalls` those of each.
    `adjust` takes over what settings may change while it is in use.
    """

    runtime: Runtime
    ground: Ground
    logs: Logs
    delegated: str
    rules: Rulebook
    usage: Callable[[], Usage]
    pressure: Callable[[], Mapping[tuple[str, str], Pressure]]
    stalls: Stalls
    adjust: Callable[[Settings], None]


def delegated_here(settings: Settings) -> tuple[CgroupMounts, str]:
    """The cgroup mounts and the path that the settings lead to; changes nothing."""
    mounts = read_cgroup_mounts()
    return mounts, delegated_path(mounts, settings.cgroup_parent, settings.node.name)


async def make_machine(settings: Settings, places: Places) -> Machine:
    """Settles the process into its cgroup, becomes a subreaper, probes the runtimes.

    Raises:
        NoRuntime: nothing here can run a container; it says what to install.
    """
    mounts, delegated = delegated_here(settings)
    become_subreaper()
    go_first()
    if settings.runtime.favordynmods:
        await _moves_favored(mounts)
    probed = await _settled(settings, places, mounts, delegated)
    growth = FileGrowth()
    growth.open()
    logs = DiskLogs(places, growth, *_log_limits(settings))
    rules = Rulebook(settings.policy)
    bundles = Bundles(
        places,
        *_roots(settings),
        probe_machine(mounts.version),
        rules.named,
        probed.take_filters,
    )
    kit = _kit(places, mounts, delegated, probed, bundles, logs)
    ground = MachineGround(places, mounts, delegated, probed.conmon.name)
    together = mounts.at(f"{delegated}/ctr")

    def adjust(settings: Settings) -> None:
        logs.limit(*_log_limits(settings))
        bundles.allow(*_roots(settings))

    return Machine(
        Driver(kit, probed),
        ground,
        logs,
        delegated,
        rules,
        read_machine,
        lambda: read_pressure(together),
        CgroupStalls(mounts, together.path),
        adjust,
    )


async def _moves_favored(mounts: CgroupMounts) -> None:
    """Without it launches take longer, and no more."""
    try:
        await favor(mounts)
    except RuntimeFailed as error:
        log.warning("moves-not-favored", says=error.message)


async def _settled(
    settings: Settings, places: Places, mounts: CgroupMounts, delegated: str
) -> Probed:
    """In its own cgroup, with the runtimes that work there; the default one first."""
    try:
        settle_in(mounts, delegated)
        ordered = sorted(RUNTIMES, key=lambda name: name != settings.runtime.default)
        found = {name: path for name in ordered if (path := find_program(name)) is not None}
        sealing = SealedPrograms(places.programs)  # as long as this process
        probed = await probe(places, sealing, runtimes=found or None, cgroup=f"{delegated}/ctr")
    except WharfsideError as error:
        raise NoRuntime(f"{error.message}; `wharfside-agent doctor` tells more") from error
    for name, words in probed.refused.items():
        log.warning("runtime-not-usable", runtime=name, says=words)
    return probed


def _kit(
    places: Places,
    mounts: CgroupMounts,
    delegated: str,
    probed: Probed,
    bundles: Bundles,
    logs: DiskLogs,
) -> Kit:
    """What the driver works with, its witnesses among it."""
    return Kit(
        places=places,
        conmon=probed.conmon,
        mounts=mounts,
        delegated=delegated,
        bundles=bundles,
        exits=PidfdExits(),
        ooms=CgroupOoms(),
        stats=CgroupStats(),
        criu=probed.criu,
        logs=logs,
        openings=Openings(FileGrowth(OPENINGS)),
        head_start=HeadStart(mounts),
    )


def _log_limits(settings: Settings) -> tuple[LogLimits, Keeping]:
    logs = settings.logs
    return LogLimits(logs.max_bytes, logs.max_files), Keeping(logs.max_runs, logs.max_execs)


def _roots(settings: Settings) -> tuple[list[Path], list[Path]]:
    """Of bundles, and of mounts."""
    allowed = settings.runtime
    return [Path(root) for root in allowed.bundle_roots], [Path(r) for r in allowed.mount_roots]
