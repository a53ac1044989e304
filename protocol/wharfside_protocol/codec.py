"""Records to msgpack bytes and back; the only importer of msgpack.

msgpack reads: it refuses foreign keys and shows every key of a map. msgspec writes, several
times as fast, the very same bytes, and reads what is plain.

Decoding is strict and bounded: anything but a well-formed map of the expected
shape raises `Invalid`, whatever the bytes. Limits are checked before memory is
spent: the size, then that every announced item is there, then the number of
items while they are built; nesting, keys and numbers last, in one walk. That
walk is the same on the way out: what `encode` gives, `decode` takes.
"""

from __future__ import annotations

import math
from collections import Counter
from types import NoneType
from typing import Annotated, Any, TypeVar

import msgpack
import msgspec

from wharfside_protocol.errors import Invalid
from wharfside_protocol.records import MAX_SAFE_INTEGER, Record

CONTENT_TYPE = "application/vnd.msgpack"
MAX_MESSAGE_BYTES = 900 * 1024
MAX_DEPTH = 32
MAX_ITEMS = 131_072
"""Map entries, list items, and the maps and lists themselves, of one message in all:
an empty map takes one byte on the wire and 64 in memory. A page of a thousand
containers with 64 labels each stays below."""

_ENCODER = msgspec.msgpack.Encoder()
_WALKER = msgspec.msgpack.Decoder(msgspec.Raw)

T = TypeVar("T", bound=Record)


def encode(record: Record) -> bytes:
    """`record` as a msgpack map.

    Raises:
        Invalid: larger than MAX_MESSAGE_BYTES, or it holds what does not travel
            (an integer beyond 2^53 - 1, NaN, a surrogate, nesting beyond MAX_DEPTH).
    """
    return _encode_plain(record) or encode_bulk(record)


def encode_bulk(record: Record) -> bytes:
    """As `encode`, for one that carries many bytes: they are copied once.

    Raises:
        Invalid: see `encode`.
    """
    return _packed(to_plain(record))


def decode(data: bytes, kind: type[T]) -> T:
    """The record of `kind` in `data`.

    Raises:
        Invalid: whatever is wrong with the bytes, naming the place.
    """
    return convert(unpack(data), kind)


def convert(value: Any, kind: type[T]) -> T:
    """Plain values (from `unpack`, or a JSON file) as a record of `kind`, strictly.

    Raises:
        Invalid: a field is missing, of the wrong type or out of its bounds.
    """
    try:
        return msgspec.convert(value, kind, builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise Invalid(f"{kind.__name__}: {error}") from error


def to_plain(record: Record) -> Any:
    """`record` as it travels: dicts, lists and scalars without nil; bytes stay bytes.

    Raises:
        Invalid: a free-form field holds what does not travel.
    """
    try:
        return _tidy(msgspec.to_builtins(record, builtin_types=(bytes,)), 0)
    except (TypeError, ValueError, RecursionError) as error:
        raise Invalid(f"{type(record).__name__} cannot be written: {error}") from error


def portable(value: Any) -> Any:
    """Foreign plain values (a config.json) with integers too large to travel as strings."""
    if isinstance(value, dict):
        return {key: portable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [portable(item) for item in value]
    if isinstance(value, int) and abs(value) > MAX_SAFE_INTEGER:
        return str(value)
    return value


def pack(value: Any) -> bytes:
    """Plain values as msgpack, without nil map entries.

    Raises:
        Invalid: see `encode`.
    """
    return _packed(_tidy(value, 0))


def _packed(value: Any) -> bytes:
    try:
        data = _ENCODER.encode(value)
    except (OverflowError, ValueError, TypeError) as error:
        raise Invalid(f"cannot be written as msgpack: {error}") from error
    if len(data) > MAX_MESSAGE_BYTES:
        raise Invalid(f"message of {len(data)} bytes; at most {MAX_MESSAGE_BYTES} travel")
    return data


def unpack(data: bytes) -> dict[str, Any]:
    """The map in `data`, checked: bounded, string keys, no key twice, nil left out.

    Raises:
        Invalid: whatever is wrong with the bytes.
    """
    if len(data) > MAX_MESSAGE_BYTES:
        raise Invalid(f"message of {len(data)} bytes; at most {MAX_MESSAGE_BYTES} travel")
    value = _parse_plain(data)
    if value is None:
        value = _tidy(_parse(data), 0)
    if not isinstance(value, dict):
        raise Invalid(f"not a msgpack map but {type(value).__name__}")
    return value


def _parse(data: bytes) -> Any:
    build = _Builder()
    try:
        _check_complete(data)
        return msgpack.unpackb(
            data,
            raw=False,
            strict_map_key=True,
            object_pairs_hook=build.map,
            list_hook=build.list,
            ext_hook=_no_extension,
            max_array_len=MAX_ITEMS,
            max_map_len=MAX_ITEMS,
        )
    except (msgpack.UnpackException, ValueError, TypeError, RecursionError) as error:
        raise Invalid(f"not msgpack: {type(error).__name__} {error}".strip()) from error


_Integer = Annotated[int, msgspec.Meta(ge=-MAX_SAFE_INTEGER, le=MAX_SAFE_INTEGER)]
_Plain: Any = str | bool | _Integer
for _ in range(4):
    _Plain = str | bool | _Integer | list[_Plain] | dict[str, _Plain]

_PLAIN_MAP = msgspec.msgpack.Decoder(dict[str, _Plain])
_PLAIN_OR_NIL = msgspec.msgpack.Decoder(dict[str, _Plain | None])
"""What most messages are: maps, lists, strings, booleans and integers, nested a little."""


def _parse_plain(data: bytes) -> Any:
    """A message in which nothing is to be tidied, and that has no more bytes than a message
    may have items; else None: one of another shape is read slowly, and told what is wrong.

    What packs into the very same bytes again had no key twice.
    """
    if len(data) > MAX_ITEMS:
        return None
    try:
        value = _PLAIN_MAP.decode(data)
    except (msgspec.MsgspecError, ValueError):
        return None
    return value if _ENCODER.encode(value) == data else None


def _encode_plain(record: Record) -> bytes | None:
    """One in which nothing is to be tidied but nil fields of its own; else None."""
    try:
        data = _ENCODER.encode(record)
        fields = _PLAIN_OR_NIL.decode(data)
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError):
        return None
    if len(data) > MAX_ITEMS:
        return None
    return _ENCODER.encode({key: item for key, item in fields.items() if item is not None})


def _check_complete(data: bytes) -> None:
    """Walks the bytes without building or copying anything.

    msgpack makes room for as many items as a header announces: a thousand nested
    headers in 5 KB would take 80 MB and more before the end of the data is seen.
    """
    _WALKER.decode(data)


class _Builder:
    """Takes each map and list of a message as it is complete, MAX_ITEMS items in all."""

    __slots__ = ("_room",)

    def __init__(self) -> None:
        self._room = MAX_ITEMS

    def map(self, pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
        self._take(len(pairs))
        found = dict(pairs)
        if len(found) != len(pairs):
            twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
            raise Invalid(f"the map key {twice!r} stands there twice")
        return found

    def list(self, items: list[Any]) -> list[Any]:
        self._take(len(items))
        return items

    def _take(self, items: int) -> None:
        self._room -= items + 1
        if self._room < 0:
            raise Invalid(f"more than {MAX_ITEMS} items in one message")


def _no_extension(code: int, _data: bytes) -> Any:
    raise Invalid(f"msgpack extension type {code} is not used; times are RFC 3339 strings")


_SCALARS = (str, bytes, bool, int, float, NoneType)
_PLAIN = frozenset({str, bytes, bool})
"""Nothing is to be looked at in these: most of a message, spared a call each."""


def _tidy(value: Any, depth: int) -> Any:
    """`value` without nil map entries; refuses what must not travel."""
    if depth > MAX_DEPTH:
        raise Invalid(f"nested deeper than {MAX_DEPTH} levels")
    kind = type(value)
    if kind is dict:
        return _tidy_map(value, depth)
    if kind is list:
        return [item if type(item) in _PLAIN else _tidy(item, depth + 1) for item in value]
    if kind is int and not -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER:
        raise Invalid(f"integer {value} is beyond +-(2^53 - 1)")
    if kind is float and not math.isfinite(value):
        raise Invalid("NaN and infinity do not travel")
    if kind is msgpack.Timestamp:
        raise Invalid("msgpack extension type -1 is not used; times are RFC 3339 strings")
    if not isinstance(value, _SCALARS):
        raise Invalid(f"a {kind.__name__} does not travel")
    return value


def _tidy_map(value: dict[Any, Any], depth: int) -> dict[str, Any]:
    tidy: dict[str, Any] = {}
    for key, item in value.items():
        if type(key) is not str:
            raise Invalid(f"map key {key!r} is not a string")
        if type(item) in _PLAIN:
            tidy[key] = item
        elif item is not None:
            tidy[key] = _tidy(item, depth + 1)
    return tidy
