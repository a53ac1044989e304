"""Fields whose feature is still to come: refused by name, since ignoring one would be a lie."""

from __future__ import annotations

from wharfside_protocol.errors import Unsupported
from wharfside_protocol.specs import ContainerSpec


def refuse_later_features(spec: ContainerSpec) -> None:
    """Raises Unsupported: the spec wants what this version cannot do."""
    if spec.checkpointable:
        raise Unsupported(
            "checkpointable: this version of the agent cannot do that", field="checkpointable"
        )
