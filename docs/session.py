"""The worked session of docs/protocol.md: session.in.md, with what was recorded in its places."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgpack_lines

TEXT = Path(__file__).with_name("session.in.md")
RECORD = Path(__file__).parent / "protocol" / "session.json"

SCENES = {
    "ping": ("ping", "ping: answer"),
    "presence, 12 lines": ("presence", "presence: answer"),
    "run": ("run", "run: answer"),
    "page": ("page", "page: created", "page: started", "page: end"),
    "attach": ("attach", "attach: answer"),
    "input": ("input", "input: ack"),
    "output": ("output", "output: ack"),
    "exit": ("exit", "eof", "eof: ack"),
    "exited": ("exited", "exited: answer"),
    "delete": ("delete", "delete: answer"),
    "accepted": ("accepted", "accepted: answer"),
    "result": ("result", "result: answer"),
}
"""What stands in one place of the text; `N lines` cuts the bytes off there."""

OF_JETSTREAM = ("Nats-Expected", "Nats-Last", "Nats-Msg-Id")
"""Headers that a reader of a stream has no use for."""


def session() -> str:
    """
    Raises:
        KeyError: the text asks for what was not recorded.
    """
    told = {each["name"]: each for each in json.loads(RECORD.read_text())}
    known = {f"told {name}": scene(name, told) for name in SCENES}
    known["told window"] = str(told["attach: answer"]["json"]["value"]["session"]["window"])
    text = TEXT.read_text().rstrip()
    return re.sub(r"<<(told [^<>]+)>>", lambda match: known[match[1]], text)


def scene(name: str, told: dict[str, dict[str, Any]]) -> str:
    cut = re.search(r"(\d+) lines", name)
    most = int(cut[1]) if cut else None
    return "```\n" + "\n\n".join(message(told[each], most) for each in SCENES[name]) + "\n```"


def message(told: dict[str, Any], most: int | None = None) -> str:
    """Its subject, its headers, its bytes."""
    way = "->" if told["way"] == "sent" else "<-"
    answer = f"  {told['reply']}" if "reply" in told else ""
    lines = [f"{way} {told['subject']}{answer}"]
    lines += [
        f"   {name}: {value}"
        for name, value in told["headers"].items()
        if not (told["way"] == "got" and name.startswith(OF_JETSTREAM))
    ]
    return "\n".join([*lines, *payload(told, most)])


def payload(told: dict[str, Any], most: int | None) -> list[str]:
    if "text" in told:
        return [told["text"]] if told["text"] else []
    lines = msgpack_lines.paired(bytes.fromhex(told["msgpack"])).split("\n")
    return lines if most is None or len(lines) <= most else [*lines[:most], "..."]
