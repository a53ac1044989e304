"""The digest that tells a repeat of a command from another one under the same id."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from wharfside_protocol.codec import pack


def command_digest(op: str, args: Mapping[str, Any]) -> str:
    """SHA-256 over op and arguments, independent of key order, nil and 1 against 1.0.

    JavaScript sends 1.0 as 1 and leaves undefined fields as nil: both are the
    same command as its Python twin.
    """
    return hashlib.sha256(pack([op, _canonical(args)])).hexdigest()


def _canonical(value: Any) -> Any:
    if isinstance(value, Mapping):
        return [[key, _canonical(value[key])] for key in sorted(value) if value[key] is not None]
    if isinstance(value, (list, tuple)):
        return [_canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
