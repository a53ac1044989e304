"""What operators type, as values. Each raises ValueError with what to write instead."""

from __future__ import annotations

import os
import re
import time
from decimal import Decimal
from typing import NamedTuple

from wharfside_client.cli import keys

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)([bkmgt]?)i?b?", re.I)
_FACTOR = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_LEAST_MEMORY = 1 << 20
"""Of `memory_bytes` in the protocol: with less no process begins."""
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_UNIX = re.compile(r"[0-9]{10}(\.[0-9]{1,9})?")
_DATE = re.compile(r"[0-9]{4}-")
_NO_TIME = "{!r} is no time: write 10m, 1h30m, seconds, 2026-01-31 or 2026-01-31T09:00:00Z"
_COMMAND_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_MOST_LINES = 2**53 - 1
_NATS_SERVER = re.compile(
    r"(?P<name>[^=]+)=(\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<host>[A-Za-z0-9._-]+))"
    r"(:(?P<port>[0-9]{1,5})(:(?P<routes>[0-9]{1,5}))?)?"
)
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class Target(NamedTuple):
    """A container on a node, as operators name it."""

    node: str
    container: str

    def __str__(self) -> str:
        return f"{self.node}/{self.container}"


class Inside(NamedTuple):
    """A path in a container."""

    node: str
    container: str
    path: str

    def __str__(self) -> str:
        return f"{self.node}/{self.container}:{self.path}"


class Place(NamedTuple):
    """A node, and a container where one is named."""

    node: str
    container: str | None


class NatsPlace(NamedTuple):
    """A NATS server; ports that are None are the usual ones."""

    name: str
    host: str
    port: int | None
    route_port: int | None


def nats_server(text: str) -> NatsPlace:
    """`name=host`, with the clients' port and the routes' where they are not the usual ones."""
    found = _NATS_SERVER.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no server: write NAME=HOST, NAME=HOST:PORT or NAME=[IPV6]")
    host = found["six"] or found["host"]
    ports = [int(port) if port else None for port in (found["port"], found["routes"])]
    if any(port is not None and not 0 < port < 65536 for port in ports):
        raise ValueError(f"{text!r}: a port is 1 to 65535")
    return NatsPlace(name(found["name"]), host, *ports)


def name(text: str) -> str:
    """A node's or a container's name."""
    if not _NAME.fullmatch(text):
        raise ValueError(f"{text!r} is no name: use a-z, 0-9, '_' and '-', at most 63")
    return text


def command_id(text: str) -> str:
    """The id of a command."""
    if not _COMMAND_ID.fullmatch(text):
        raise ValueError(f"{text!r} is no command id: 8 to 64 of A-Z, a-z, 0-9, '_' and '-'")
    return text


def target(text: str) -> Target:
    """`node/container`."""
    node, slash, container = text.partition("/")
    if not slash:
        raise ValueError(f"{text!r}: name a container as node/container")
    return Target(name(node), name(container))


def inside(text: str) -> Inside | str:
    """`node/container:path`; else a path on this side, as is all that begins with `/` or `.`."""
    if not text:
        raise ValueError("an empty path: write NODE/CONTAINER:PATH, or a path here")
    named, colon, path = text.partition(":")
    if not colon or text.startswith(("/", ".")):
        return text
    try:
        where = target(named)
    except ValueError as error:
        raise ValueError(f"{error}; write ./{text} for a file here") from error
    return Inside(*where, path if path.startswith("/") else f"/{path}")


def place(text: str) -> Place:
    """`node` or `node/container`."""
    node, slash, container = text.partition("/")
    return Place(name(node), name(container) if slash else None)


def node_of(text: str) -> str:
    """The node of `node` or `node/container`."""
    return place(text).node


def node(text: str) -> str:
    if "/" in text:
        raise ValueError(f"{text!r} is a container: name its node alone, {text.split('/')[0]}")
    return name(text)


def size(text: str) -> int:
    """Bytes: `32m`, `1.5g`, `1048576`; factors are of 1024, as docker has them."""
    found = _SIZE.fullmatch(text.strip())
    if not found:
        raise ValueError(f"{text!r} is no size; write 32m, 1.5g or a number of bytes")
    return int(float(found[1]) * _FACTOR[found[2].lower()])


def memory(text: str) -> int:
    """A limit of memory."""
    if (found := size(text)) < _LEAST_MEMORY:
        raise ValueError(f"{text!r} is too little: at least 1m")
    return found


def duration(text: str) -> float:
    """Seconds: `10m`, `1h30m`, `2.5s`, `45`."""
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        return float(text)
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is no duration; write 10m, 1h30m or seconds")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def since(text: str) -> int | str:
    """A sequence of the stream (`1234`), or the time so long ago (`10m`), or an RFC 3339 one."""
    return int(text) if text.isdecimal() else moment(text)


def moment(text: str) -> str:
    """The time so long ago (`10m`), one as RFC 3339 has it (of here, without a zone), or Unix's.

    A number alone is seconds ago; one of ten digits, as docker takes it, those since 1970. `ago`
    may be said.
    """
    from wharfside_protocol.times import NANOSECONDS, to_timestamp

    if _DATE.match(text):
        return _dated(text)
    try:
        if _UNIX.fullmatch(text):
            return to_timestamp(int(Decimal(text) * NANOSECONDS))
        return to_timestamp(time.time_ns() - int(duration(text.removesuffix(" ago")) * NANOSECONDS))
    except ValueError as error:
        raise ValueError(_NO_TIME.format(text)) from error


def _dated(text: str) -> str:
    from datetime import UTC, datetime

    from wharfside_protocol.errors import Invalid
    from wharfside_protocol.times import from_timestamp

    try:
        from_timestamp(text)  # to the nanosecond, as logs and events tell it
        return text
    except Invalid:
        pass
    try:
        at = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(_NO_TIME.format(text)) from error
    return f"{at:%Y-%m-%dT%H:%M:%S.%f}Z"


def tail(text: str) -> int | None:
    """A number of lines; None for `all`."""
    if text == "all":
        return None
    if not (text.isascii() and text.isdecimal()) or int(text) > _MOST_LINES:
        raise ValueError(f"{text!r}: write a number of lines, or all")
    return int(text)


def detach_keys(text: str) -> bytes:
    """`ctrl-p,ctrl-q`, as what the keys send; '' for none."""
    return keys.codes_of(text)


def cpu_percent(text: str) -> int:
    """Hundredths of a CPU from CPUs: `1.5` is 150."""
    try:
        percent = round(float(text) * 100)
    except ValueError:
        percent = 0
    if percent < 1:
        raise ValueError(f"{text!r}: give CPUs, such as 0.5 or 2")
    return percent


def variable(text: str) -> tuple[str, str | None]:
    """`NAME=value`, or `NAME` alone for its value here; None: it is not set here."""
    key, equals, value = text.partition("=")
    if not key:
        raise ValueError(f"{text!r}: write NAME=value, or NAME to pass it on from here")
    return key, value if equals else os.environ.get(key)


class ServerHost(NamedTuple):
    """A host under which a server is reached; of every server, where that is ''."""

    server: str
    host: str


def server_host(text: str) -> ServerHost:
    """`server=host`, or `host`."""
    server, equals, host = text.rpartition("=")
    if not re.fullmatch(r"[0-9A-Za-z:.*-]+", host) or (equals and not server):
        raise ValueError(f"{text!r}: write a name or address, or SERVER=NAME")
    return ServerHost(name(server) if equals else "", host)


def label(text: str) -> tuple[str, str]:
    """`key=value`, or `key` alone."""
    key, _, value = text.partition("=")
    if not key:
        raise ValueError(f"{text!r}: write key=value")
    return key, value


def user(text: str) -> tuple[int, int]:
    """`uid` or `uid:gid`, in numbers; a uid alone has the group 0."""
    uid, _, gid = text.partition(":")
    if not uid.isdecimal() or not (gid or "0").isdecimal():
        raise ValueError(f"{text!r}: write uid or uid:gid, in numbers")
    return int(uid), int(gid or 0)


def mount(text: str) -> tuple[str, str, bool]:
    """`source:target[:ro|rw]`, with whether it is read-only (it is, where not said)."""
    source, _, rest = text.partition(":")
    inside, _, mode = rest.partition(":")
    if not source.startswith("/") or not inside.startswith("/") or mode not in ("", "ro", "rw"):
        raise ValueError(f"{text!r}: write /source:/target, with :rw where it may write")
    return source, inside, mode != "rw"


def network(text: str) -> tuple[str, str | None]:
    """`none`, `host`, or the path of a network namespace on the node."""
    if text in ("none", "host"):
        return text, None
    if not text.startswith("/"):
        raise ValueError(f"{text!r}: write none, host or /path/of/a/netns")
    return "path", text


def restart(text: str) -> tuple[str, int | None]:
    """`no`, `always`, `unless-stopped` or `on-failure[:times]`."""
    policy, colon, times = text.partition(":")
    known = policy in ("no", "on-failure", "always", "unless-stopped")
    if not known or (colon and not (policy == "on-failure" and times.isdecimal())):
        raise ValueError(f"{text!r}: write no, always, unless-stopped or on-failure[:times]")
    return policy, int(times) if colon else None


def top_sort(text: str) -> str:
    """A column of `top`."""
    from wharfside_client.cli.top.board import Sort

    if text not in list(Sort):
        raise ValueError(f"{text!r} is no column to sort by; there are: {', '.join(Sort)}")
    return text
