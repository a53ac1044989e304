"""The session in docs/protocol.md is what goes over the wire between a client and a real node."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.integration.worked_session import RECORD, in_json, on_a_node, written
from tests.integration.world import World

from wharfside_protocol.codec import decode, pack, unpack
from wharfside_protocol.digest import command_digest
from wharfside_protocol.views import NodeInfo

STALE = "record it anew: python -m tests.integration.worked_session, then docs/generate.py"

VARIES = re.compile(
    r"\d{4}-\d\d-\d\dT[\d:.]+Z|\b[0-9A-Za-z]{26}\b|\b[0-9a-f-]{36}\b|^[0-9]+$|^[0-9A-Za-z]{22}$"
)
"""Times, ULIDs, UUIDs, sequences in headers, the id of an instance of NATS micro's."""
FIGURES = {"pid", "epoch", "seq", "prev_seq", "duration_us", "cpu_us", "version"}
OF_SOME_KERNELS = {"memory_peak_bytes"}


def steady(value: Any) -> Any:
    """What is the same each time; of the rest that it is there."""
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if key not in OF_SOME_KERNELS}
        return {key: key in FIGURES or steady(item) for key, item in kept.items()}
    if isinstance(value, list):
        return [steady(item) for item in value]
    return VARIES.sub("varies", value) if isinstance(value, str) else value


def compared(told: dict[str, Any]) -> dict[str, Any]:
    """What was sent is compared byte for byte."""
    if told["way"] == "sent":
        return told
    text = told.get("text", "")
    plain = {key: item for key, item in told.items() if key != "msgpack"}
    return steady(plain | {"text": json.loads(text) if text.startswith("{") else text})


def recorded() -> list[dict[str, Any]]:
    return json.loads(RECORD.read_text())


async def test_a_client_and_a_node_say_what_the_page_shows(world: World) -> None:
    for told, shown in zip(await on_a_node(world), recorded(), strict=True):
        if told.name == "presence: answer":
            # what a node says of its machine is another on each
            info = decode(told.payload, NodeInfo)
            assert (info.node, info.state, info.mailbox) == ("n1", "up", "ok")
        else:
            assert compared(written(told)) == compared(shown), STALE


def test_the_record_is_whole() -> None:
    """Bytes and JSON form are the same, and so are the digests of what was sent."""
    record = {each["name"]: each for each in recorded()}
    for each in record.values():
        plain = unpack(bytes.fromhex(each.get("msgpack", "80")))
        assert in_json(plain) == each.get("json", {}), each["name"]
        assert pack(plain).hex() == each.get("msgpack", "80"), each["name"]
    for op, answer in (("run", "run: answer"), ("delete", "accepted: answer")):
        digest = command_digest(op, record[op]["json"]["args"])
        assert record[answer]["json"]["digest"] == digest
