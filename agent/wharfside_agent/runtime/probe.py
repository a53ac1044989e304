"""Which runtimes and which conmon are on this machine, and which of them work. Once, at start."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import structlog

from wharfside_agent.core.placement import Places
from wharfside_agent.runtime import argv, spawn
from wharfside_agent.runtime.argv import OciBinary
from wharfside_agent.runtime.criu import UNKNOWN, probe_criu
from wharfside_agent.runtime.refusals import own_words
from wharfside_agent.runtime.sealed import SealedPrograms
from wharfside_agent.runtime.seccomp_filter import takes_filter
from wharfside_protocol.errors import RuntimeFailed, Unsupported
from wharfside_protocol.views import CriuInfo, RuntimeInfo

log = structlog.get_logger(__name__)

RUNTIMES = ("crun", "runc")
"""In the order of preference: crun creates in half of runc's time."""

_PLACES = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/libexec/podman"
_VERSION = re.compile(r"version[: ]+(\S+)")
_ANNOTATIONS = ("org.opencontainers.runc.checkpoint.enabled", "run.oci.checkpoint.enabled")
_PROGRAM = "/wharfside-no-such-program"
_TRIAL_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Found:
    """A runtime that works here; `takes_filter`: a ready one (runtime/seccomp_filter.py)."""

    info: RuntimeInfo
    binary: OciBinary
    takes_filter: bool = False


@dataclass(frozen=True, slots=True)
class Probed:
    """`refused` tells, in its own words, why a runtime that was asked for cannot be used."""

    conmon: Path
    conmon_version: str
    usable: Sequence[Found]
    refused: Mapping[str, str] = field(default_factory=dict)
    criu: CriuInfo = UNKNOWN

    def binary(self, name: str) -> OciBinary:
        """Raises Unsupported: this node has no such runtime, or it does not work."""
        for found in self.usable:
            if found.info.name == name:
                return found.binary
        raise Unsupported(f"{name} cannot be used here: {self.refused.get(name, 'not found')}")

    @property
    def take_filters(self) -> frozenset[str]:
        """The names of those that take a ready seccomp filter."""
        return frozenset(found.info.name for found in self.usable if found.takes_filter)

    def choose(self, wanted: str | None, *, checkpointable: bool) -> str:
        """The runtime for a container.

        Raises:
            Unsupported: none does what is asked for.
        """
        if checkpointable and not self.criu.usable:
            raise Unsupported(f"this node cannot checkpoint: {self.criu.says}")
        names = [f.info.name for f in self.usable if f.info.checkpoint or not checkpointable]
        if wanted is not None:
            self.binary(wanted)
        fitting = [name for name in names if wanted in (None, name)]
        if not fitting:
            raise Unsupported(
                "no runtime of this node can checkpoint" + (f" ({wanted})" if wanted else "")
            )
        return fitting[0]


async def probe(
    places: Places,
    sealing: SealedPrograms | None = None,
    *,
    runtimes: Mapping[str, Path] | None = None,
    conmon: Path | None = None,
    cgroup: str = "",
) -> Probed:
    """Looks for the programs (or takes those given) and tries each runtime once.

    With `sealing` each is run from its sealed copy, where such a one works. `cgroup` is where
    containers will have theirs: the trial's is made there, too.

    Raises:
        Unsupported: no conmon, or no runtime that works; it says what to install.
    """
    given = runtimes or {}
    monitor = conmon or find_program("conmon")
    if monitor is None:
        raise Unsupported("conmon is not installed: apt-get install conmon")
    paths = {name: given.get(name) or find_program(name) for name in given or RUNTIMES}
    trial = _Trial(places.runtime_roots, cgroup, sealing)
    criu, tried = await asyncio.gather(
        probe_criu(find_program("criu")),
        asyncio.gather(*(trial.of(*each) for each in paths.items())),
    )
    usable = [found for found in tried if isinstance(found, Found)]
    refused = {
        name: found for name, found in zip(paths, tried, strict=True) if isinstance(found, str)
    }
    if not usable:
        raise Unsupported(f"no OCI runtime works here: {dict(refused)}; apt-get install crun")
    return Probed(monitor, await _version(monitor), usable, refused, criu)


def find_program(name: str) -> Path | None:
    """By PATH, then where distributions put such programs."""
    found = shutil.which(name) or shutil.which(name, path=_PLACES)
    return None if found is None else Path(found)


@dataclass(frozen=True, slots=True)
class _Trial:
    """How each runtime is tried."""

    roots: Path
    cgroup: str
    sealing: SealedPrograms | None

    async def of(self, name: str, path: Path | None) -> Found | str:
        """The runtime, or why it cannot be used."""
        if path is None:
            return f"{name} is not installed"
        try:
            version = await _version(path)
            oci, words = await self._working(name, path)
            if words is not None:
                return words
            can = await _can_checkpoint(oci)
            filters = takes_filter(oci.path)
        except RuntimeFailed as error:
            return error.message
        except OSError as error:
            return f"{path} cannot be read: {error.strerror}"
        info = RuntimeInfo(name=name, version=version, path=str(path), checkpoint=can)
        return Found(info, oci, filters)

    async def _working(self, name: str, path: Path) -> tuple[OciBinary, str | None]:
        """Its sealed copy where that makes containers; else itself, and its complaint."""
        copy = self._copy(path)
        if copy is not None:
            oci = OciBinary(name, copy, self.roots / name)
            if await _complaint(oci, self.cgroup) is None:
                return oci, None
        oci = OciBinary(name, path, self.roots / name)
        return oci, await _complaint(oci, self.cgroup)

    def _copy(self, path: Path) -> Path | None:
        if self.sealing is None:
            return None
        try:
            return self.sealing.seal(path)
        except OSError as error:
            log.info("runtime-not-sealed", runtime=str(path), says=str(error))
            return None


async def _version(path: Path) -> str:
    said = await spawn.run(argv.version(path))
    match = _VERSION.search(said.stdout)
    return match.group(1) if match else "unknown"


async def _can_checkpoint(oci: OciBinary) -> bool:
    """By `features` where the runtime has it, else by its list of commands."""
    told = await spawn.run(argv.features(oci.path))
    if told.code == 0:
        try:
            features = msgspec.json.decode(told.stdout, type=_Features)
        except msgspec.DecodeError:
            return False
        return any(features.annotations.get(name) == "true" for name in _ANNOTATIONS)
    helped = await spawn.run(oci.argv("--help"))
    return re.search(r"^\s*checkpoint\b", helped.stdout, re.MULTILINE) is not None


class _Features(msgspec.Struct):
    annotations: dict[str, str] = {}


async def _complaint(oci: OciBinary, cgroup: str) -> str | None:
    """Why `oci` cannot make containers here; None: it can.

    It is asked to run a program that is not there. Namespaces, mounts and cgroups
    come before it looks for the program: it has passed if it complains of that alone.
    """
    with TemporaryDirectory(prefix="wharfside-trial-") as folder:
        bundle = Path(folder)
        for name in ("proc", "dev"):
            (bundle / "rootfs" / name).mkdir(parents=True)
        trial = bundle.name.lower()
        config = _trial_config(f"{cgroup}/{trial}")
        (bundle / "config.json").write_bytes(msgspec.json.encode(config))
        words = oci.argv("run", f"--bundle={bundle}", trial)
        try:
            done = await spawn.run(words, seconds=_TRIAL_SECONDS)
            await spawn.run(argv.delete(oci, trial), seconds=_TRIAL_SECONDS)
        except RuntimeFailed as error:
            return error.message
    if _PROGRAM in done.stderr:
        return None
    return own_words(done.stderr) or f"exit status {done.code}"


def _trial_config(cgroup: str) -> dict[str, object]:
    kinds = ("pid", "mount", "ipc", "uts", "network")
    return {
        "ociVersion": "1.0.2",
        "process": {"user": {"uid": 0, "gid": 0}, "args": [_PROGRAM], "cwd": "/"},
        "root": {"path": "rootfs", "readonly": True},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
        "linux": {
            "cgroupsPath": cgroup,
            "namespaces": [{"type": kind} for kind in kinds],
        },
    }
