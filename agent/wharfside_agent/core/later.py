"""Fields whose feature is still to come: refused by name, since ignoring one would be a lie."""

from __future__ import annotations

from collections.abc import Mapping

from wharfside_protocol.errors import Unsupported
from wharfside_protocol.specs import ContainerSpec, Io


def refuse_later_features(spec: ContainerSpec) -> None:
    """Raises Unsupported: the spec wants what this version cannot do."""
    refuse_later_io(spec.io)
    _refuse(
        {
            "checkpointable": spec.checkpointable,
        }
    )


def refuse_later_io(io: Io) -> None:
    """Raises Unsupported: the streams are wanted in a way that this version cannot give."""
    _refuse(
        {
            "io.fifo": io.fifo,
        }
    )


def _refuse(wishes: Mapping[str, bool]) -> None:
    for field, wished in wishes.items():
        if wished:
            raise Unsupported(f"{field}: this version of the agent cannot do that", field=field)
