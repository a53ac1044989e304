"""What is no command, and what is made of it: always a typed error, never anything else."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

Pack = Callable[[Any], bytes]


def vectors(pack: Pack) -> Iterable[dict[str, Any]]:
    """Each is refused as `error`, which names `says`; `msgpack` are the bytes."""
    for name, data, says in (*_bytes(), *_shapes(pack)):
        yield {"name": name, "record": "Command", "msgpack": data.hex(), "error": "invalid"} | {
            "says": says
        }


def _bytes() -> Iterable[tuple[str, bytes, str]]:
    """Not msgpack as it travels here."""
    yield "nothing", b"", "not msgpack"
    yield "JSON", b'{"id":"command-0001"}', "not msgpack"
    yield "cut off", bytes.fromhex("83a26964"), "not msgpack"
    yield "something behind it", b"\x80\x80", "not msgpack"
    yield "a byte that means nothing", b"\xc1", "not msgpack"
    yield "a list", b"\x90", "not a msgpack map"
    yield "a number", b"\x2a", "not a msgpack map"
    yield "a key twice", bytes.fromhex("82a26964a161a26964a162"), "twice"
    yield "a key that is a number", bytes.fromhex("8101c0"), "not"
    yield "text that is not UTF-8", bytes.fromhex("81a26964a1ff"), "not msgpack"
    yield "a timestamp extension", bytes.fromhex("81a26964d6ff00000000"), "extension"
    yield "an extension", bytes.fromhex("81a26964d40100"), "extension"
    yield "more announced than there is", bytes.fromhex("dfffffffff"), "not msgpack"
    yield "a list of four billion", bytes.fromhex("81a26964ddffffffff"), "not msgpack"
    yield "nested too deep", b"\x81\xa1a" * 40 + b"\xc0", "nested"
    yield "an integer beyond 2^53 - 1", _args(b"\xcf\x00\x20" + b"\x00" * 6), "2^53"
    yield "an integer below -(2^53 - 1)", _args(b"\xd3\xff\xe0" + b"\x00" * 6), "2^53"
    yield "not a number", _args(bytes.fromhex("cb7ff8000000000000")), "NaN"
    yield "infinity", _args(bytes.fromhex("cb7ff0000000000000")), "infinity"


def _args(value: bytes) -> bytes:
    return b"\x81\xa4args\x81\xa1n" + value


def _shapes(pack: Pack) -> Iterable[tuple[str, bytes, str]]:
    """msgpack, and not a command."""
    whole: dict[str, Any] = {"id": "command-0001", "op": "ping", "node": "node-a", "args": {}}
    for field in ("id", "op", "node"):
        rest = {key: value for key, value in whole.items() if key != field}
        yield f"without its {field}", pack(rest), field
    for name, field, value in WRONG:
        yield name, pack(whole | {field: value}), field


WRONG: tuple[tuple[str, str, Any], ...] = (
    ("an id that is too short", "id", "short"),
    ("an id with a dot", "id", "command.0001"),
    ("an id with a newline at its end", "id", "command-0001\n"),
    ("an id that is bytes", "id", b"command-0001"),
    ("an op of two tokens", "op", "ping.pong"),
    ("a node in capitals", "node", "Node-A"),
    ("a node with a dot", "node", "node.a"),
    ("a node that goes up", "node", ".."),
    ("a version that is text", "v", "1"),
    ("a deadline that is a number", "deadline", 1_700_000_000),
    ("a deadline without a zone", "deadline", "2026-01-31T09:00:00"),
    ("a deadline in another zone", "deadline", "2026-01-31T09:00:00+01:00"),
    ("an actor that is empty", "actor", ""),
    ("arguments that are a list", "args", []),
    ("a fence that is a number", "expect", 7),
    ("a fence below nought", "expect", {"revision": -1}),
)
