"""CloudEvents 1.0 in binary mode: an event's attributes as NATS headers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, unquote

from wharfside_protocol.codec import CONTENT_TYPE
from wharfside_protocol.events import Event

TYPE_PREFIX = "io.wharfside"
_PLAIN = re.compile(r"[A-Za-z0-9:/._-]*")
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F))).replace("%", "").replace('"', "")


def to_headers(event: Event) -> dict[str, str]:
    """The `ce-*` headers of `event` (CloudEvents NATS binding, section 3.1)."""
    attributes = {
        "specversion": "1.0",
        "id": event.event_id,
        "source": f"/wharfside/nodes/{event.node}",
        "type": ce_type(event),
        "time": event.occurred_at,
        "subject": event.container or event.node,
        "datacontenttype": CONTENT_TYPE,
        "sequence": str(event.seq),
    }
    return {f"ce-{name}": _quoted(value) for name, value in attributes.items()}


def _quoted(value: str) -> str:
    """Hardly any has something to quote, and `quote` looks at each letter."""
    return value if _PLAIN.fullmatch(value) else quote(value, safe=_PRINTABLE)


def ce_type(event: Event) -> str:
    """`io.wharfside.container.exited`, or `io.wharfside.node.up`."""
    of = "node" if event.container is None else "container"
    return f"{TYPE_PREFIX}.{of}.{event.type}"


def from_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The CloudEvents attributes among `headers`, without the prefix and decoded."""
    return {
        key[3:].lower(): unquote(value)
        for key, value in headers.items()
        if key[:3].lower() == "ce-"
    }
