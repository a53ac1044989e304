"""What decides whether containers can move between this node and another."""

from __future__ import annotations

from pathlib import Path

from wharfside_agent.core.images import FORMAT
from wharfside_agent.ports.images import Layers
from wharfside_agent.ports.runtime import Runtime
from wharfside_agent.services.checkpoints.manifests import Here
from wharfside_protocol.errors import WharfsideError
from wharfside_protocol.migration import NodeFacts
from wharfside_protocol.specs import ContainerSpec


class Facts:
    def __init__(self, here: Here, node_id: str, runtime: Runtime, layers: Layers) -> None:
        self._here = here
        self._node_id = node_id
        self._runtime = runtime
        self._layers = layers

    async def of(self, spec: ContainerSpec | None) -> NodeFacts:
        """With those of the files that `spec` stands on, where it has a writable layer."""
        return NodeFacts(
            node=self._here.node,
            node_id=self._node_id,
            architecture=self._here.architecture,
            kernel=self._here.kernel,
            cpu_features=list(self._here.cpu_features),
            criu=self._runtime.criu,
            runtimes=dict(self._here.runtime_versions),
            lower=None if spec is None else await self._lower(spec),
            image_format=FORMAT,
        )

    async def _lower(self, spec: ContainerSpec) -> str | None:
        if spec.source.rootfs is None:
            return None
        try:
            return await self._layers.identity(Path(spec.source.rootfs))
        except (OSError, WharfsideError):
            return None  # `check` of the runtime says what is wrong with it
