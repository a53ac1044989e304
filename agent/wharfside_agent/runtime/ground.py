"""Looks at the agent's own places: run folders, cgroups, conmons, mounts, layers and logs.

They are its own beyond doubt: it holds the lock on its data folder, nobody else is let
in there, and each thing bears an incarnation's name.
"""

from __future__ import annotations

import re
import shutil
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from wharfside_agent.core.cgroup_paths import Cgroup, CgroupMounts
from wharfside_agent.core.placement import Places, RunPlace, container_cgroup
from wharfside_agent.core.relist import Survey, incarnation_of
from wharfside_agent.procs import proc_stat
from wharfside_agent.runtime import cgroups
from wharfside_agent.runtime.mounts import unmount
from wharfside_agent.runtime.removal import remove_folder
from wharfside_protocol.errors import RuntimeFailed

_PROC = Path("/proc")
_INCARNATION = re.compile(r"[0-9a-z]{26}")
_DEAD_STATES = frozenset("ZX")


@dataclass(frozen=True, slots=True)
class MachineGround:
    """ports.ground.Ground. `conmon` is the program's name."""

    places: Places
    mounts: CgroupMounts
    delegated: str
    conmon: str

    def look(self, asked: Collection[tuple[int, int]], known: Collection[str]) -> Survey:
        """Traces first and processes after: what is made meanwhile is not taken for dead."""
        traces = self._traces()
        states = [(name, self._frozen(self._cgroup(name))) for name in _names(self._freezers())]
        strangers = [name for name in traces if name not in known]
        return Survey(
            over=frozenset(each for each in asked if _is_over(*each)),
            frozen=frozenset(name for name, frozen in states if frozen),
            thawed=frozenset(name for name, frozen in states if frozen is False),
            runtimes=frozenset(self._runtime_ids()),
            monitors=frozenset(self._monitors()),
            traces=traces,
            alive=frozenset(name for name in strangers if cgroups.pids(self._cgroup(name))),
        )

    def frozen(self, incarnation: str) -> bool | None:
        return self._frozen(self._cgroup(incarnation.lower()))

    def clear(self, incarnation: str) -> None:
        cgroup = self._cgroup(incarnation)
        lives = cgroups.pids(cgroup) or [
            process for id_, process in self._monitors() if incarnation_of(id_) == incarnation
        ]
        if lives:
            raise RuntimeFailed(f"{incarnation} still lives ({lives}): it is left as it is")
        for runtime_id in self._runs_of(incarnation):
            for root in _folders(self.places.runtime_roots):
                shutil.rmtree(root / runtime_id, ignore_errors=True)
            bundle = self.places.runs / runtime_id
            unmount(bundle / "rootfs")
            remove_folder(bundle)
        cgroups.remove_empty(cgroup)
        place = RunPlace(self.places, incarnation, 1)
        remove_folder(place.layer)
        remove_folder(place.logs)

    def _traces(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for runtime_id in _entries(self.places.runs):
            if (incarnation := incarnation_of(runtime_id)) is not None:
                found[incarnation].append(f"run folder {runtime_id}")
        for what, folders in (
            ("cgroup", self._cgroup_parents()),
            ("layer", [self.places.layers]),
            ("log", [self.places.logs]),
        ):
            for name in _names(folders):
                found[name].append(f"{what} {name}")
        return dict(found)

    def _runs_of(self, incarnation: str) -> set[str]:
        runtime_ids = {*_entries(self.places.runs), *self._runtime_ids()}
        return {each for each in runtime_ids if incarnation_of(each) == incarnation}

    def _runtime_ids(self) -> Iterator[str]:
        for root in _folders(self.places.runtime_roots):
            yield from _entries(root)

    def _monitors(self) -> Iterator[tuple[str, str]]:
        """(runtime id, process), from the persist folder that each conmon was given."""
        mark = f"--persist-dir={self.places.runs}/".encode()
        for entry in _entries(_PROC):
            words = _command_line(entry) if entry.isdigit() else []
            if not words or Path(words[0].decode(errors="replace")).name != self.conmon:
                continue
            for word in words:
                if word.startswith(mark):
                    parts = word[len(mark) :].decode(errors="replace").split("/")
                    if len(parts) == 4:
                        yield parts[0], parts[2]

    def _cgroup(self, incarnation: str) -> Cgroup:
        return self.mounts.at(container_cgroup(self.delegated, incarnation))

    def _cgroup_parents(self) -> list[Path]:
        return cgroups.folders(self.mounts.at(f"{self.delegated}/ctr"))

    def _freezers(self) -> list[Path]:
        folder = self.mounts.at(f"{self.delegated}/ctr").folder("freezer")
        return [] if folder is None else [folder]

    @staticmethod
    def _frozen(cgroup: Cgroup) -> bool | None:
        """By the kernel's own word, which a runtime's `state` would only repeat.

        Also one below: crun may have put the container there.
        """
        top = cgroup.folder("freezer")
        if top is None:
            return None
        states = [_freezer(folder) for folder in (top, *_folders(top))]
        told = [state for state in states if state is not None]
        return any(told) if told else None


def _freezer(folder: Path) -> bool | None:
    """v1 tells by `freezer.state` (FREEZING: not all of it yet), v2 by `cgroup.events`."""
    with suppress(OSError):
        return (folder / "freezer.state").read_text().strip() == "FROZEN"
    with suppress(OSError):
        return "frozen 1" in (folder / "cgroup.events").read_text().splitlines()
    return None


def _is_over(pid: int, start_time: int) -> bool:
    """A zombie is over, too: somebody has yet to reap it."""
    stat = proc_stat(pid)
    return stat is None or stat.start_time != start_time or stat.state in _DEAD_STATES


def _command_line(pid: str) -> list[bytes]:
    try:
        return (_PROC / pid / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


def _entries(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir())
    except OSError:
        return []


def _folders(folder: Path) -> list[Path]:
    return [folder / name for name in _entries(folder) if (folder / name).is_dir()]


def _names(folders: Collection[Path]) -> set[str]:
    """The incarnations that have a folder in any of `folders`."""
    names = {name for folder in folders for name in _entries(folder)}
    return {name for name in names if _INCARNATION.fullmatch(name)}
