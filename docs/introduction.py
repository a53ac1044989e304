"""What docs/protocol.md says before its tables: protocol.in.md, with figures from the code and
examples from the vectors, so that neither can be other than what is tested."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgpack_lines
from session import session

from wharfside_agent.core.trust import AHEAD_S
from wharfside_protocol.codec import MAX_DEPTH, MAX_MESSAGE_BYTES
from wharfside_protocol.envelope import DEFAULT_RPC_SECONDS
from wharfside_protocol.io_flow import MAX_FRAMES
from wharfside_protocol.io_frames import COST, MAX_CHUNKS, MAX_FRAME_BYTES, MAX_WIRE_BYTES
from wharfside_protocol.io_link import ACK_DELAY_S, PROBE_S
from wharfside_protocol.rights import SERVICE_NAME
from wharfside_protocol.signing import DOMAIN, KEY_HEADER, SIGNATURE_HEADER, TIME_HEADER

TEXT = Path(__file__).with_name("protocol.in.md")
VECTORS = Path(__file__).parents[1] / "protocol" / "vectors"

FIGURES = {
    "rpc": DEFAULT_RPC_SECONDS,
    "kib": MAX_MESSAGE_BYTES // 1024,
    "depth": MAX_DEPTH,
    "frame": MAX_WIRE_BYTES // 1024,
    "data": MAX_FRAME_BYTES // 1024,
    "chunks": MAX_CHUNKS,
    "cost": COST,
    "frames": MAX_FRAMES,
    "quarter": MAX_FRAMES // 4,
    "probe": PROBE_S,
    "delay": ACK_DELAY_S,
    "service": SERVICE_NAME,
    "key": KEY_HEADER,
    "time": TIME_HEADER,
    "signature": SIGNATURE_HEADER,
    "domain": DOMAIN,
    "ahead": AHEAD_S,
}

EXAMPLES = {
    "ping": ("commands", "ping, all of 0 arguments"),
    "pong": ("results", "ping, all of 3 fields"),
    "data frame": ("frames", "Data, the least of 3 fields"),
}


def introduction() -> str:
    """
    Raises:
        KeyError: the text asks for a figure or an example that is not here.
    """
    known = {name: str(value) for name, value in FIGURES.items()}
    known |= {f"bytes of {name}": example(*where) for name, where in EXAMPLES.items()}
    known["headers of exited"] = headers(vector("events", "exited, all of 15 facts"))
    text = TEXT.read_text().rstrip().replace("<<a whole session>>", session())
    return re.sub(r"<<([^<>]+)>>", lambda match: known[match[1]], text)


def example(file: str, name: str) -> str:
    """A vector, its bytes item by item."""
    return msgpack_lines.explained(bytes.fromhex(vector(file, name)["msgpack"]))


def headers(event: dict[str, Any]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in event["headers"].items())


def vector(file: str, name: str) -> dict[str, Any]:
    """
    Raises:
        KeyError: no vector is called so.
    """
    told: list[dict[str, Any]] = json.loads((VECTORS / f"{file}.json").read_text())
    return {each["name"]: each for each in told}[name]
