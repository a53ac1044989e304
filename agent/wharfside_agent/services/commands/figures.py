"""How long commands took, and how they ended, by op: a closed set, so its figures are bounded."""

from __future__ import annotations

from collections import Counter

from wharfside_agent.core.figures import COMMAND_S, Histogram
from wharfside_protocol.envelope import Result
from wharfside_protocol.ops import OPS

RPC, MAILBOX = "rpc", "mailbox"

UNKNOWN = "unknown"
"""An op that is none of ours: anybody may ask for any."""


class CommandFigures:
    """`seconds` by op, way in and outcome; `errors` by op and code."""

    def __init__(self) -> None:
        self.seconds: dict[tuple[str, str, str], Histogram] = {}
        self.errors: Counter[tuple[str, str]] = Counter()

    def note(self, via: str, result: Result, seconds: float) -> None:
        """`seconds`: from its arrival to its result, as its caller had to wait."""
        op = result.op if result.op in OPS else UNKNOWN
        if result.error is not None:
            self.errors[op, str(result.error.code)] += 1
        key = (op, via, "ok" if result.ok else "error")
        histogram = self.seconds.get(key)
        if histogram is None:
            histogram = self.seconds[key] = Histogram(COMMAND_S)
        histogram.observe(seconds)
