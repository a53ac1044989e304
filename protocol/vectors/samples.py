"""A value for every field of every record, always the same one."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec.inspect as mi

from wharfside_protocol.codec import convert
from wharfside_protocol.errors import ErrorBody as Error
from wharfside_protocol.records import Record
from wharfside_protocol.specs import Network, Restart, Source

__all__ = ["Error", "fields", "least", "made", "whole"]

T = TypeVar("T", bound=Record)

BY_PATTERN = {
    "^[A-Za-z0-9_-]{8,64}$": "command-0001",
    "^[A-Za-z0-9_-]{1,64}$": "start",
    "^[a-z0-9][a-z0-9_-]{0,62}$": "web",
    "^[0-9]{4}-": "2026-01-31T09:00:00.123456789Z",
    "^[0-9A-HJKMNP-TV-Z]{26}$": "01KG9Z8M0000000000000000AB",
    "^[A-Za-z0-9.-]{1,63}$": "web.example",
    "^((SIG)?[A-Z]": "TERM",
    r"^/[^\x00]*$": "/srv/web",
    r"^[^\x00]*$": "sleep",
    r"^[^=\x00]+=[^\x00]*$": "LANG=C.UTF-8",
    "^[0-9,-]{1,256}$": "0-1,3",
    "^[0-9a-f]{64}$": "0123456789abcdef" * 4,
    "^[A-Za-z0-9_-]{0,64}$": "token-0001",
}
BY_NAME = {"node": "node-a", "peer": "o1", "session": "session-1", "process": "init"}
BY_RECORD: dict[type[Record], dict[str, Any]] = {
    Source: {"rootfs": "/srv/web", "readonly": True},
    Network: {"mode": "path", "path": "/run/netns/web"},
    Restart: {"policy": "on-failure", "max_retries": 3},
}


def least(kind: type[T]) -> T:
    """With the fields that it must have."""
    return made(kind, fields(kind, whole=False))


def whole(kind: type[T]) -> T:
    """With every field that it may have."""
    return made(kind, fields(kind, whole=True))


def made(kind: type[T], plain: dict[str, Any]) -> T:
    return convert(plain, kind)


def fields(kind: type[Record], *, whole: bool) -> dict[str, Any]:
    """Plain values, by the names on the wire."""
    if kind in BY_RECORD:
        return BY_RECORD[kind]
    info = mi.type_info(kind)
    assert isinstance(info, mi.StructType)
    told = {} if info.tag is None else {str(info.tag_field): info.tag}
    return told | {
        field.encode_name: _named(field.encode_name, _value(field.type, whole=whole))
        for field in info.fields
        if field.required or (whole and (kind, field.encode_name) not in LEFT_OUT)
    }


def _named(name: str, value: Any) -> Any:
    return BY_NAME.get(name, value) if isinstance(value, str) else value


def _left_out() -> set[tuple[type[Record], str]]:
    """What does not go with the others."""
    from wharfside_protocol.commands import CreateArgs
    from wharfside_protocol.specs import ContainerSpec

    return {(CreateArgs, "auto_remove"), (ContainerSpec, "auto_remove")}


LEFT_OUT = _left_out()


def _value(info: mi.Type, *, whole: bool) -> Any:
    match info:
        case mi.Metadata():
            return _value(info.type, whole=whole)
        case mi.UnionType():
            first = next(each for each in info.types if not isinstance(each, mi.NoneType))
            return _value(first, whole=whole)
        case mi.StructType():
            return fields(info.cls, whole=whole)
        case mi.ListType():
            return [_value(info.item_type, whole=whole)]
        case mi.DictType():
            return {"zone": "ä" if isinstance(info.value_type, mi.StrType) else 1}
        case _:
            return _scalar(info)


def _scalar(info: mi.Type) -> Any:
    match info:
        case mi.StrType():
            return _text(info)
        case mi.IntType():
            return max(info.ge or 0, min(70_000, 70_000 if info.le is None else info.le))
        case mi.FloatType():
            return 1.5
        case mi.BoolType():
            return True
        case mi.BytesType():
            return b"\x00\xffhello\n"
        case mi.EnumType():
            return str(next(iter(info.cls)).value)
        case mi.LiteralType():
            return info.values[0]
    return None


def _text(info: mi.StrType) -> str:
    if info.pattern is None:
        return "grüße"
    return next(text for begins, text in BY_PATTERN.items() if info.pattern.startswith(begins))
