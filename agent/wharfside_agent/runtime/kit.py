"""What the driver's parts share: the tools of this machine, made once at start."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from wharfside_agent.core.cgroup_paths import Cgroup, CgroupMounts
from wharfside_agent.core.placement import Places, RunPlace, container_cgroup
from wharfside_agent.core.policy.asked import Asked
from wharfside_agent.core.policy.rules import RuleSet
from wharfside_agent.disk_pace import DiskPace
from wharfside_agent.ports.runtime import RunPlan
from wharfside_agent.ports.watcher import Exits, Ooms, StatsReader
from wharfside_agent.runtime.argv import OciBinary
from wharfside_agent.runtime.criu import UNKNOWN
from wharfside_agent.runtime.fifos import Openings
from wharfside_agent.runtime.head_start import HeadStart
from wharfside_agent.runtime.logs import DiskLogs
from wharfside_protocol.specs import ContainerSpec
from wharfside_protocol.views import CriuInfo


class BundleKeeper(Protocol):
    """Makes and removes the folders of a run (runtime/bundle.py)."""

    def check(self, spec: ContainerSpec, runtime: str, rules: str) -> Asked: ...

    def prepare(self, plan: RunPlan, place: RunPlace, cgroup_path: str) -> dict[str, Any]: ...

    def rules_of(self, name: str) -> RuleSet: ...

    def load_config(self, place: RunPlace) -> dict[str, Any]: ...

    def remove(self, place: RunPlace, *, keep_layer: bool) -> None: ...

    def removes_little(self, place: RunPlace, *, keep_layer: bool) -> bool: ...


@dataclass(frozen=True, slots=True)
class Kit:
    """`delegated` is the cgroup of the agent's own: `<delegated>/{agent,conmon,ctr/...}`."""

    places: Places
    conmon: Path
    mounts: CgroupMounts
    delegated: str
    bundles: BundleKeeper
    exits: Exits
    ooms: Ooms
    stats: StatsReader
    logs: DiskLogs
    openings: Openings
    head_start: HeadStart
    criu: CriuInfo = UNKNOWN
    pace: DiskPace = field(default_factory=DiskPace)
    """Of the work on the folders of runs."""

    def cgroup(self, place: RunPlace) -> Cgroup:
        return self.mounts.at(container_cgroup(self.delegated, place.incarnation))

    def programs(self, oci: OciBinary) -> frozenset[str]:
        """The names of the programs that a run's launch may leave half done."""
        return frozenset({self.conmon.name, oci.path.name})

    async def settle(self, pid: int) -> None:
        """Puts a new conmon into its cgroup, away from the agent's and the container's.

        In v2 only: the monitors then are not killed, nor charged, with the agent. In v1
        that would cost a write for each controller, and killing is per service there, too.
        """
        if self.mounts.version == "v1" or self.mounts.unified is None:
            return
        procs = self.mounts.at(f"{self.delegated}/conmon").folder("unified")
        assert procs is not None
        await self.head_start.over()  # the write would wait for it, and the loop with it
        (procs / "cgroup.procs").write_text(str(pid))
