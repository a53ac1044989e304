"""An asset in JetStream's API, and what became of one: records that setup.py makes and tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from wharfside_protocol.assets import CKPT, CMD, EVT
from wharfside_protocol.records import Record

CONSUMERS = {"mailbox": CMD, "carriage": CKPT, "consumer": EVT}
"""Kinds of assets that are consumers, and the stream of each."""


class Outcome(StrEnum):
    """What became of an asset. `LATER`: its server did not answer; run it again.

    `FAILED`: the server refuses to make it; the others are made all the same.
    """

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    REMOVED = "removed"
    ABSENT = "absent"
    LATER = "later"
    FAILED = "failed"


class Difference(Record, frozen=True, kw_only=True):
    """A setting: what it was, what it should be, and why it stays (where it does)."""

    setting: str
    was: Any = None
    should: Any = None
    why: str | None = None


class AssetReport(Record, frozen=True, kw_only=True):
    """`changed`: what was put right. `drift`: what is wrong and cannot be changed.

    `why`: the server's words where it failed.
    """

    kind: str
    name: str
    outcome: Outcome
    why: str | None = None
    changed: list[Difference] = []
    drift: list[Difference] = []


@dataclass(frozen=True, slots=True)
class Asset:
    """Something that JetStream keeps, and how its API is asked about it."""

    kind: str
    name: str
    wanted: dict[str, Any]

    def verb(self, action: str) -> str:
        stream = CONSUMERS.get(self.kind)
        if stream is None:
            return f"STREAM.{action}.{self.name}"
        # for a consumer CREATE updates too
        return f"CONSUMER.{'CREATE' if action == 'UPDATE' else action}.{stream}.{self.name}"

    def body(self, config: Mapping[str, Any]) -> Mapping[str, Any]:
        stream = CONSUMERS.get(self.kind)
        return config if stream is None else {"stream_name": stream, "config": config}
