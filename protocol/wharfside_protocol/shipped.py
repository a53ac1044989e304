"""Output shipped to the stream WHARFSIDE_LOGS, on `log.<node>.<container>.<process>`."""

from __future__ import annotations

from typing import Annotated

import msgspec

from wharfside_protocol.io_frames import Chunk
from wharfside_protocol.records import Counter, Incarnation, Name, Record


class ShippedOutput(Record, frozen=True, kw_only=True):
    """A piece of a process's log, or how much of it is gone (`lost` bytes, no chunks).

    `offset` and `end` are its place in the log of its run, as in Position. The pieces of a run
    come in order, each beginning where the last one ended; after a long absence of the node
    one may come again, with the same `offset`.
    """

    node: Name
    container: Name
    incarnation: Incarnation
    run: Counter
    process: Name
    offset: Counter
    end: Counter
    chunks: Annotated[list[Chunk], msgspec.Meta(max_length=1024)] = []
    lost: Counter = 0
