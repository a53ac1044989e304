"""What travels beside a command: its trace, and its signature where there is a key."""

from __future__ import annotations

import time

from wharfside_client.bus import Bus
from wharfside_protocol.digest import command_digest
from wharfside_protocol.envelope import Command


def headers_of(bus: Bus, command: Command, traceparent: str | None = None) -> dict[str, str] | None:
    """None: it has neither."""
    headers = {"traceparent": traceparent} if traceparent else {}
    if bus.signer is not None:
        digest = command_digest(command.op, command.args)
        headers |= bus.signer.headers(command, digest, time.time_ns())
    return headers or None
