"""The base of every record on the wire, and the field types they share."""

from __future__ import annotations

from typing import Annotated

import msgspec

# `$` alone would let a trailing newline through (re.search), hence the lookahead;
# the pattern is also valid ECMA 262, so the JSON Schemas can carry it unchanged.
NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,62}$(?!\n)"
COMMAND_ID_PATTERN = r"^[A-Za-z0-9_-]{8,64}$(?!\n)"
ULID_PATTERN = r"^[0-9A-HJKMNP-TV-Z]{26}$(?!\n)"
OP_PATTERN = r"^[A-Za-z0-9_-]{1,64}$(?!\n)"
_TWO = "[0-9]{2}"  # \d would take the digits of every script
TIMESTAMP_PATTERN = rf"^[0-9]{{4}}-{_TWO}-{_TWO}T{_TWO}:{_TWO}:{_TWO}(\.[0-9]{{1,9}})?Z$(?!\n)"

MAX_SAFE_INTEGER = 2**53 - 1
"""Integers beyond +-(2^53 - 1) do not travel: JavaScript would round them."""

Name = Annotated[str, msgspec.Meta(pattern=NAME_PATTERN)]
"""A node, container, process or peer: one subject token, one path segment."""

CommandId = Annotated[str, msgspec.Meta(pattern=COMMAND_ID_PATTERN)]
"""The caller's own id of a command: the idempotency key over all lanes."""

OpName = Annotated[str, msgspec.Meta(pattern=OP_PATTERN)]
"""Any one token: an op that no table has is `unsupported`, not `invalid`."""

Incarnation = Annotated[str, msgspec.Meta(pattern=ULID_PATTERN)]
"""A ULID: one create-to-deleted life of a container."""

Timestamp = Annotated[str, msgspec.Meta(pattern=TIMESTAMP_PATTERN)]
"""RFC 3339 in UTC with up to nine digits of a second."""

Counter = Annotated[int, msgspec.Meta(ge=0, le=MAX_SAFE_INTEGER)]
"""A count, a size in bytes or a time in microseconds."""

Seconds = Annotated[float, msgspec.Meta(ge=0, le=10_000_000)]

LabelKey = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
LabelValue = Annotated[str, msgspec.Meta(max_length=256)]
Labels = Annotated[dict[LabelKey, LabelValue], msgspec.Meta(max_length=64)]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A record on the wire: a msgpack map with string keys.

    Unknown fields are ignored, nil means absent, absent means the default. Defaults
    are written all the same: a reader in another language has none of ours.
    """
