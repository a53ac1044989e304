"""What a checkpoint says of itself: of its container, and of the node that it was taken on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from wharfside_agent.core.images import CheckpointManifest, Lower
from wharfside_agent.ports.images import BrokenImage, Image
from wharfside_agent.ports.rows import ContainerRow
from wharfside_protocol.checkpoints import CheckpointArgs, CheckpointFlags, CheckpointView
from wharfside_protocol.views import RestoredFrom

_FLAGS = CheckpointFlags.__struct_fields__


@dataclass(frozen=True, slots=True)
class Here:
    """The node, as checkpoints tell of it; versions of runtimes by name."""

    node: str
    architecture: str
    kernel: str
    criu_version: str = ""
    runtime_versions: Mapping[str, str] = field(default_factory=dict)
    cpu_features: tuple[str, ...] = ()


def manifest_of(
    row: ContainerRow,
    args: CheckpointArgs,
    here: Here,
    timestamp: str,
    identity: str | None,
    parent: str | None,
) -> CheckpointManifest:
    """`identity`: of the lower layer. The files are filled in where the image is finished."""
    source = row.spec.source
    return CheckpointManifest(
        name=args.checkpoint,
        timestamp=timestamp,
        node=here.node,
        container=row.name,
        incarnation=row.incarnation,
        run=row.run,
        flags=flags_of(args),
        parent=parent,
        runtime=row.runtime,
        runtime_version=here.runtime_versions.get(row.runtime, ""),
        criu_version=here.criu_version,
        architecture=here.architecture,
        kernel=here.kernel,
        cpu_features=list(here.cpu_features),
        lower=Lower(
            path=source.rootfs or source.bundle or "", layered=layered(row), identity=identity
        ),
        spec=row.spec,
    )


def layered(row: ContainerRow) -> bool:
    """It has a writable layer of its own; else its files are used as they are."""
    return row.spec.source.rootfs is not None and not row.spec.source.readonly


def flags_of(args: CheckpointFlags) -> CheckpointFlags:
    return CheckpointFlags(**{name: getattr(args, name) for name in _FLAGS})


def view_of(image: Image | BrokenImage) -> CheckpointView:
    if isinstance(image, BrokenImage):
        return CheckpointView(
            checkpoint=image.name,
            incarnation=image.incarnation,
            broken=image.why,
            other_format=image.other_format,
        )
    told = image.manifest
    return CheckpointView(
        checkpoint=told.name,
        incarnation=told.incarnation,
        container=told.container,
        run=told.run,
        timestamp=told.timestamp,
        node=told.node,
        parent=told.parent,
        bytes=image.bytes,
        runtime=told.runtime,
        runtime_version=told.runtime_version,
        criu_version=told.criu_version,
        digest=image.digest,
        **msgspec.structs.asdict(told.flags),
    )


def origin_of(image: Image) -> RestoredFrom:
    told = image.manifest
    return RestoredFrom(
        checkpoint=told.name,
        digest=image.digest,
        container=told.container,
        incarnation=told.incarnation,
        run=told.run,
    )
