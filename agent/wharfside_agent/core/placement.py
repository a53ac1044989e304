"""Where things of a node, a run and an exec live: paths computed, never looked up.

Once each: a run asks for its own some fifty times, and a Path is slow to make.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path


@dataclass(frozen=True)
class Places:
    """The agent's two folders: `run_dir` dies with the boot (tmpfs), `state_dir` outlives it."""

    run_dir: Path
    state_dir: Path

    @property
    def runtime_roots(self) -> Path:
        return self.run_dir / "oci"

    @property
    def programs(self) -> Path:
        """Links to the sealed copies of the runtimes that this life of the agent made."""
        return self.run_dir / "programs"

    @cached_property
    def runs(self) -> Path:
        return self.run_dir / "runs"

    @property
    def criu_home(self) -> Path:
        return self.run_dir / "criu"

    @property
    def store(self) -> Path:
        return self.state_dir / "store.sqlite"

    @property
    def lock(self) -> Path:
        return self.state_dir / "agent.lock"

    @property
    def reloaded(self) -> Path:
        """What became of the last reload of the configuration."""
        return self.run_dir / "reloaded.json"

    @cached_property
    def logs(self) -> Path:
        return self.state_dir / "logs"

    @cached_property
    def layers(self) -> Path:
        """Writable overlay layers, one folder an incarnation."""
        return self.state_dir / "layers"

    @property
    def checkpoints(self) -> Path:
        """Checkpoint images, one folder an incarnation."""
        return self.state_dir / "checkpoints"


def container_cgroup(delegated: str, incarnation: str) -> str:
    """The cgroup of an incarnation below the one that the agent may fill."""
    return f"{delegated}/ctr/{incarnation.lower()}"


@dataclass(frozen=True)
class RunPlace:
    """The folders of one run. Fresh for every run: a reused one would hand on an old exit."""

    places: Places
    incarnation: str
    run: int

    @cached_property
    def runtime_id(self) -> str:
        return f"{self.incarnation.lower()}-{self.run}"

    @cached_property
    def bundle(self) -> Path:
        """The agent's own bundle: conmon writes into it, so never the caller's."""
        return self.places.runs / self.runtime_id

    @cached_property
    def rootfs(self) -> Path:
        """The overlay's mount point, where the source is a rootfs."""
        return self.bundle / "rootfs"

    @cached_property
    def layer(self) -> Path:
        """upper and work of the overlay: kept from run to run, gone with the incarnation."""
        return self.places.layers / self.incarnation.lower()

    @cached_property
    def logs(self) -> Path:
        """Of all runs; one folder, since each costs a disk more than its file."""
        return self.places.logs / self.incarnation.lower()

    def log(self, process: str) -> Path:
        return self.logs / f"{self.run}-{process}.log"

    @cached_property
    def monitors(self) -> Path:
        """One folder a process."""
        return self.bundle / "monitors"

    def monitor_dir(self, process: str) -> Path:
        """What conmon writes for one process: pidfile, conmon.pid, persist/exit, oom."""
        return self.monitors / process
