"""Where a cgroup's files are, in version 1, 2 and the hybrid between."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class CgroupMounts:
    """What is mounted on this machine, read once at start.

    v2: one tree under `unified`. v1 (and hybrid, where the controllers are still
    v1): one tree a controller.
    """

    version: Literal["v1", "v2"]
    unified: Path | None = None
    controllers: Mapping[str, Path] = field(default_factory=dict)

    def at(self, path: str) -> Cgroup:
        """The cgroup `path` ("/wharfside/n1/ctr/...") on this machine."""
        return Cgroup(self, path)


@dataclass(frozen=True, slots=True)
class Cgroup:
    """One cgroup by its path below the mounts."""

    mounts: CgroupMounts
    path: str

    @property
    def version(self) -> Literal["v1", "v2"]:
        return self.mounts.version

    def folder(self, controller: str) -> Path | None:
        """The folder of `controller`; in v2 the same for all. None: not mounted.

        `unified` is v2's tree in the hybrid, too.
        """
        if self.mounts.version == "v2" or controller == "unified":
            root = self.mounts.unified
        else:
            root = self.mounts.controllers.get(controller)
        return None if root is None else root / self.path.lstrip("/")
