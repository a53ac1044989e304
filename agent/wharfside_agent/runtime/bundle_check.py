"""What a spec asks of this node, checked before anything is changed: features, paths, config."""

from __future__ import annotations

import errno
import fcntl
import os
import posixpath
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from wharfside_agent.core.oci_config import binds
from wharfside_agent.core.oci_schema import MAX_CONFIG_BYTES, parse_config
from wharfside_agent.runtime.roots import Pinned, Roots, plain_file
from wharfside_protocol.errors import Denied, Invalid, NotFound
from wharfside_protocol.specs import ContainerSpec, Mount, Network

_NS_GET_NSTYPE = 0xB703  # ioctl_ns(2)
_CLONE_NEWNET = 0x4000_0000

_SYSTEM_TARGETS = ("/proc", "/sys")


@dataclass(frozen=True, slots=True)
class Source:
    """A checked source. `rootfs` stays open, so that a swapped name cannot lead elsewhere."""

    spec: ContainerSpec
    """With the mounts' sources as real paths."""
    rootfs: Pinned
    bundle: Path | None = None
    config: dict[str, Any] | None = None

    @property
    def root_elsewhere(self) -> str:
        """The real path of a bundle's root that does not lie in it; else empty."""
        path = self.rootfs.path
        return "" if self.bundle is None or path.is_relative_to(self.bundle) else str(path)


class BundleCheck:
    """The node's rules for sources and mounts."""

    def __init__(self, bundle_roots: Sequence[Path], mount_roots: Sequence[Path]) -> None:
        self._bundles = Roots(bundle_roots, "bundle-roots")
        self._mounts = Roots(mount_roots, "mount-roots")
        self._mount_roots = tuple(mount_roots)

    @contextmanager
    def checked(self, spec: ContainerSpec) -> Iterator[Source]:
        """All checks; what it yields is open until the block is left.

        Raises:
            Invalid, Denied, NotFound, Unsupported: nothing was changed.
        """
        if spec.network is not None:
            _check_network(spec.network)
        real = msgspec.structs.replace(spec, mounts=[self._mount(each) for each in spec.mounts])
        with ExitStack() as stack:
            if spec.source.rootfs is not None:
                yield self._rootfs(real, spec.source.rootfs, stack)
            elif spec.source.bundle is not None:
                yield self._bundle(real, spec.source.bundle, stack)

    def _rootfs(self, spec: ContainerSpec, path: str, stack: ExitStack) -> Source:
        if spec.process is None:
            raise Invalid("a container from a rootfs needs a process with args", field="process")
        rootfs = stack.enter_context(self._bundles.pinned(path, "source.rootfs"))
        _require_folder(rootfs, "source.rootfs")
        return Source(spec, rootfs)

    def _bundle(self, spec: ContainerSpec, path: str, stack: ExitStack) -> Source:
        bundle = stack.enter_context(self._bundles.pinned(path, "source.bundle"))
        _require_folder(bundle, "source.bundle")
        config = parse_config(_read_config(bundle))
        if spec.process is None and config.get("process") is None:
            raise Invalid("neither config.json nor the spec has a process", field="process")
        # normpath: `./rootfs`, `a/../rootfs` are good OCI; no part of a bundle is a link here.
        named = posixpath.normpath(posixpath.join(bundle.path, config["root"]["path"]))
        rootfs = stack.enter_context(self._bundles.pinned(named, "root.path"))
        _require_folder(rootfs, "root.path")
        return Source(spec, rootfs, bundle.path, self._bound(config, bundle.path))

    def _bound(self, config: dict[str, Any], bundle: Path) -> dict[str, Any]:
        """The config with real paths for what it binds: of its own bundle, or as any mount's."""
        if not any(binds(mount) for mount in config.get("mounts") or ()):
            return config
        roots = Roots([*self._mount_roots, bundle], "mount-roots")

        def real(mount: dict[str, Any]) -> dict[str, Any]:
            if not binds(mount) or not mount.get("source"):
                return mount
            named = posixpath.normpath(posixpath.join(bundle, mount["source"]))
            with roots.pinned(named, "mounts.source") as source:
                return {**mount, "source": str(source.path)}

        return {**config, "mounts": [real(each) for each in config["mounts"]]}

    def _mount(self, mount: Mount) -> Mount:
        target = posixpath.normpath("/" + mount.target.lstrip("/"))  # POSIX keeps `//`
        if target == "/" or ".." in mount.target.split("/"):
            raise Invalid(
                "mounts.target must be a path below / without `..`",
                field="mounts.target",
                path=mount.target,
            )
        if any(Path(target).is_relative_to(system) for system in _SYSTEM_TARGETS):
            raise Denied(
                f"mounts.target {target}: /proc and /sys are the runtime's own",
                rule="system-mounts",
                field="mounts.target",
                path=mount.target,
            )
        with self._mounts.pinned(mount.source, "mounts.source") as source:
            return msgspec.structs.replace(mount, source=str(source.path), target=target)


def _require_folder(pinned: Pinned, field: str) -> None:
    if not pinned.is_folder:
        raise Invalid(f"{field}: {pinned.path} is not a folder", field=field)


def _read_config(bundle: Pinned) -> bytes:
    path = str(bundle.path / "config.json")
    facts = {"field": "source.bundle", "path": path}
    try:
        with plain_file("config.json", os.O_NOFOLLOW, bundle.fd) as fd:
            # Not more than is there: the buffer of the largest would have to be made first.
            return os.read(fd, min(os.fstat(fd).st_size, MAX_CONFIG_BYTES) + 1)
    except FileNotFoundError as error:
        raise NotFound(f"the bundle {bundle.path} has no config.json", **facts) from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise Denied(f"{path}: {error.strerror}", rule="no-symbolic-links", **facts) from error
        raise Invalid(f"{path} cannot be read: {error.strerror}", **facts) from error


def _check_network(network: Network) -> None:
    if network.path is None:
        return
    facts = {"field": "network.path", "path": network.path}
    try:
        with plain_file(network.path) as fd:
            found = fcntl.ioctl(fd, _NS_GET_NSTYPE)
    except FileNotFoundError as error:
        raise NotFound(f"there is no {network.path} on this node", **facts) from error
    except OSError:  # ENOTTY: a file of another kind
        found = 0
    if found != _CLONE_NEWNET:
        raise Invalid(f"{network.path} is not a network namespace (ip netns add)", **facts)
