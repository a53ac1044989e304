"""A place for bundles under test: an image, allowed roots, a runtime of its own root."""

from __future__ import annotations

import ctypes
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.requirements import cgroup2_only

from wharfside_agent.core.placement import Places, RunPlace
from wharfside_agent.core.resources import CgroupVersion
from wharfside_agent.ports.runtime import RunPlan
from wharfside_agent.runtime.bundle import Bundles
from wharfside_protocol.specs import ContainerSpec, ProcessSpec, Source

MIB = 1 << 20
SECONDS = 30
CGROUPS: CgroupVersion = "v2" if cgroup2_only() else "v1"
INCARNATION = "01J0000000000000000000BNDL"

libc = ctypes.CDLL(None, use_errno=True)


@dataclass
class Ground:
    """Folders, a runtime and the bundles that are under test."""

    folder: Path
    runtime: str
    bundles: Bundles
    places: Places
    cgroup: str

    @property
    def image(self) -> Path:
        return self.folder / "roots/image"

    def place(self, run: int = 1) -> RunPlace:
        return RunPlace(self.places, INCARNATION, run)

    def prepare(self, spec: ContainerSpec, run: int = 1) -> dict[str, Any]:
        self.bundles.check(spec, self.runtime)
        plan = RunPlan("box", INCARNATION, run, spec, self.runtime)
        return self.bundles.prepare(plan, self.place(run), self.cgroup)

    def oci(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [self.runtime, "--root", str(self.folder / "oci"), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)

    def run(self, spec: ContainerSpec, run: int = 1) -> subprocess.CompletedProcess[str]:
        self.prepare(spec, run)
        return self.oci("run", "-b", str(self.place(run).bundle), self.place(run).runtime_id)

    def shell(self, script: str, **fields: Any) -> str:
        """What `script` says on its output; its errors are in there, too."""
        readonly = fields.pop("readonly", False)
        process = ProcessSpec(args=["/bin/sh", "-c", f"exec 2>&1; {script}"])
        source = Source(rootfs=str(self.image), readonly=readonly)
        fields.setdefault("process", process)
        done = self.run(ContainerSpec(source=source, **fields))
        assert done.stderr == ""
        return done.stdout

    def true(self) -> ContainerSpec:
        source = Source(rootfs=str(self.image))
        return ContainerSpec(source=source, process=ProcessSpec(args=["true"]))


def mounts_below(folder: Path) -> list[str]:
    table = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line for line in table if line.split()[4].startswith(str(folder))]
