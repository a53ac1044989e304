"""The digest that tells a repeat of a command from another one under the same id."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from wharfside_protocol.codec import pack
from wharfside_protocol.records import MAX_SAFE_INTEGER


def command_digest(op: str, args: Mapping[str, Any]) -> str:
    """SHA-256 over op and arguments, independent of key order, nil and 1 against 1.0.

    JavaScript sends 1.0 as 1 and leaves undefined fields as nil: both are the
    same command as its Python twin. The bytes under the hash are the msgpack list
    `[op, args]` with each map's keys in order of their code points, each number in
    its shortest form, and every whole number within 2^53 - 1 as an integer.

    Raises:
        Invalid: `args` hold what does not travel.
    """
    return hashlib.sha256(pack([op, _canonical(args)])).hexdigest()


def _canonical(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _canonical(value[key]) for key in sorted(value) if value[key] is not None}
    if isinstance(value, (list, tuple)):
        return [_canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) <= MAX_SAFE_INTEGER:
        return int(value)
    return value
