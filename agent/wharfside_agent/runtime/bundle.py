"""The bundle of one run: folders, overlay and config.json; made, read again, removed."""

from __future__ import annotations

import os
import platform
import resource
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from wharfside_agent.core.oci_config import Machine, RunFacts, from_bundle, from_rootfs
from wharfside_agent.core.placement import Places, RunPlace
from wharfside_agent.core.policy.asked import Asked, asked_of
from wharfside_agent.core.policy.gaps import filled
from wharfside_agent.core.policy.rules import EVERYBODY, RuleSet, named_by_default
from wharfside_agent.core.policy.verdicts import judge
from wharfside_agent.core.resources import CgroupVersion
from wharfside_agent.core.seccomp import profile_for
from wharfside_agent.ports.runtime import RunPlan
from wharfside_agent.runtime.bundle_check import BundleCheck, Source
from wharfside_agent.runtime.mounts import mount_overlay, unmount
from wharfside_agent.runtime.removal import is_small, remove_folder
from wharfside_agent.runtime.seccomp_filter import ANNOTATION, compile_filter
from wharfside_protocol.errors import NotFound, RuntimeFailed
from wharfside_protocol.specs import ContainerSpec

_PRIVATE = 0o700


def probe_machine(cgroups: CgroupVersion) -> Machine:
    """What configs need to know of this machine and of the agent's own limits."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Machine(cgroups, platform.machine(), hard)


class Bundles:
    """Makes what a runtime runs from, and takes it away again. All calls are synchronous."""

    def __init__(
        self,
        places: Places,
        bundle_roots: Sequence[Path],
        mount_roots: Sequence[Path],
        machine: Machine,
        rules_of: Callable[[str], RuleSet] = named_by_default,
        take_filters: Collection[str] = (),
    ) -> None:
        """`rules_of`: the node's rules by the name of their set, as they are now.
        `take_filters`: the runtimes that take a ready seccomp filter (seccomp_filter.py)."""
        self.rules_of = rules_of
        self._take_filters = take_filters
        self._places = places
        self._machine = machine
        self.allow(bundle_roots, mount_roots)
        self._filter = compile_filter(profile_for(machine.architecture))

    def allow(self, bundle_roots: Sequence[Path], mount_roots: Sequence[Path]) -> None:
        """Where bundles and mounts of containers that are made from now on may lie."""
        self._checks = BundleCheck(bundle_roots, mount_roots)

    def check(self, spec: ContainerSpec, runtime: str, rules: str = EVERYBODY) -> Asked:
        """What `prepare` would make, where it would find nothing to refuse. Changes nothing.

        Raises:
            Invalid, Denied, NotFound, Unsupported: what in the spec, the bundle or
                the node is at fault.
        """
        judging = _Judging(runtime, self.rules_of(rules))
        with self._checks.checked(spec) as source:
            return self._judged(source, judging, "check", "/rootfs", "/cgroup")[1]

    def prepare(self, plan: RunPlan, place: RunPlace, cgroup_path: str) -> dict[str, Any]:
        """Makes the folders, mounts the overlay, writes config.json and returns it.

        Checks again: a bundle may have changed since `check`.

        Raises:
            Invalid, Denied, NotFound, Unsupported: as `check`.
            RuntimeFailed: no overlay, no room, or the folder of this run is there
                already. What was made is undone.
        """
        try:
            return self._prepare(plan, place, cgroup_path)
        except OSError as error:
            raise RuntimeFailed(f"the bundle cannot be made: {error}") from error

    def _prepare(self, plan: RunPlan, place: RunPlace, cgroup_path: str) -> dict[str, Any]:
        with self._checks.checked(plan.spec) as source, ExitStack() as undo:
            if not place.layer.exists():
                undo.callback(remove_folder, place.layer)
            self._make_bundle(place)
            undo.callback(self._remove_run, place)
            rootfs = self._rootfs(source, place)
            judging = _Judging(plan.runtime, self.rules_of(plan.rules))
            config, _ = self._judged(source, judging, plan.container, str(rootfs), cgroup_path)
            config["annotations"] = {**config["annotations"], **_notes(plan)}
            if self._takes_filter(plan, config):
                config = self._with_filter(config)
            _write_config(place.bundle, config)
            undo.pop_all()
            return config

    def load_config(self, place: RunPlace) -> dict[str, Any]:
        """The config.json of a run, as `prepare` wrote it.

        Raises:
            NotFound: there is none, or none that can be read.
        """
        path = place.bundle / "config.json"
        try:
            return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        except (OSError, msgspec.DecodeError) as error:
            raise NotFound(f"{path} cannot be read: {error}", path=str(path)) from error

    def remove(self, place: RunPlace, keep_layer: bool) -> None:
        """Unmounts and removes what `prepare` and the monitors made. Idempotent.

        Without `keep_layer` the incarnation's layer and its logs of all runs go, too.

        Raises:
            RuntimeFailed: something could not be removed; it names what.
        """
        self._remove_run(place)
        if not keep_layer:
            remove_folder(place.layer)
            remove_folder(place.logs)

    def removes_little(self, place: RunPlace, keep_layer: bool) -> bool:
        """`remove` has nothing to do that takes long: an overlay's unmount may write all that its
        container has written to the disk, and a layer may have any size."""
        if place.rootfs.exists() or not is_small(place.monitors):
            return False
        return keep_layer or (not place.layer.exists() and is_small(place.logs))

    def _make_bundle(self, place: RunPlace) -> None:
        self._places.runs.mkdir(_PRIVATE, parents=True, exist_ok=True)
        try:
            place.bundle.mkdir(_PRIVATE)
        except FileExistsError as error:
            raise RuntimeFailed(
                f"{place.bundle} is there already: a run never reuses a folder",
                path=str(place.bundle),
            ) from error

    def _remove_run(self, place: RunPlace) -> None:
        unmount(place.rootfs)
        remove_folder(place.bundle)

    def _rootfs(self, source: Source, place: RunPlace) -> Path:
        """A bundle's own rootfs and a read-only one are used as they are."""
        if source.bundle is not None or source.spec.source.readonly:
            return source.rootfs.path
        upper, work = _make_layer(place.layer, source.rootfs.fd)
        place.rootfs.mkdir(_PRIVATE)
        mount_overlay(source.rootfs.fd, upper, work, place.rootfs)
        return place.rootfs

    def _takes_filter(self, plan: RunPlan, config: Mapping[str, Any]) -> bool:
        """Only where the profile is ours, not a bundle's; and a checkpoint's config.json may come
        to another runtime, which needs the profile itself."""
        ours = config["linux"].get("seccomp") is profile_for(self._machine.architecture)
        wanted = ours and not plan.spec.checkpointable and self._filter is not None
        return wanted and plan.runtime in self._take_filters

    def _with_filter(self, config: dict[str, Any]) -> dict[str, Any]:
        """The profile's calls go: each process of the runtime would have to read them, a third of
        the file and most of its values. One that took no notice of the filter refuses every call.
        """
        profile = {**config["linux"]["seccomp"], "syscalls": []}
        return {
            **config,
            "linux": {**config["linux"], "seccomp": profile},
            "annotations": {**config["annotations"], ANNOTATION: self._filter},
        }

    def _judged(
        self, source: Source, judging: _Judging, container: str, rootfs: str, cgroup_path: str
    ) -> tuple[dict[str, Any], Asked]:
        """The config as it would run, before our own annotations are in it, and what it asks for.

        Raises:
            Invalid: as `prepare`.
            Denied: the rules do not allow it.
        """
        rules = judging.set.rules
        facts = RunFacts(self._machine, container, rootfs, cgroup_path, str(source.bundle or ""))
        if source.config is None:
            config = from_rootfs(source.spec, facts)
        else:
            config = from_bundle(source.config, source.spec, facts)
            config["linux"] = filled(config["linux"], rules, self._machine.architecture)
        asked = replace(asked_of(source.spec, judging.runtime, config), root=source.root_elsewhere)
        if (denial := judge(asked, rules)) is not None:
            raise denial.error(judging.set)
        return config, asked


def _notes(plan: RunPlan) -> dict[str, str]:
    """Annotations, by which people and tools on the node find whose it is."""
    return {
        "io.wharfside.container": plan.container,
        "io.wharfside.incarnation": plan.incarnation,
        "io.wharfside.run": str(plan.run),
    }


@dataclass(frozen=True, slots=True)
class _Judging:
    """By which rules, and for which runtime."""

    runtime: str
    set: RuleSet


def _make_layer(layer: Path, lower: int) -> tuple[Path, Path]:
    """upper has the lower's owner and mode: they become those of the container's `/`.

    Else only root could enter it. What a former run changed of them is kept.
    """
    upper, work = layer / "upper", layer / "work"
    layer.mkdir(_PRIVATE, parents=True, exist_ok=True)
    work.mkdir(_PRIVATE, exist_ok=True)
    with suppress(FileExistsError):
        upper.mkdir(_PRIVATE)
        facts = os.fstat(lower)
        os.chown(upper, facts.st_uid, facts.st_gid)
        upper.chmod(facts.st_mode & 0o7777)
    return upper, work


def _write_config(bundle: Path, config: dict[str, Any]) -> None:
    """By rename, so that a reader never sees half of it; no fsync: a boot ends the run anyway."""
    fresh = bundle / "config.json.new"
    fresh.write_bytes(msgspec.json.encode(config))
    fresh.rename(bundle / "config.json")
