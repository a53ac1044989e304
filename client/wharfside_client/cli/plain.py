"""Records as JSON: every field, also those that are empty, so that scripts find them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import msgspec


def to_json(value: Any) -> Any:
    """`value` as dicts, lists and scalars.

    Bytes become text where they are UTF-8; else base64, and a field beside them,
    `<name>_encoding`, says so.
    """
    if isinstance(value, msgspec.Struct):
        fields = msgspec.structs.fields(type(value))
        return _map((field.encode_name, getattr(value, field.name)) for field in fields)
    if isinstance(value, Mapping):
        return _map((str(key), item) for key, item in value.items())
    if isinstance(value, (list, tuple, set, frozenset)):
        return [to_json(item) for item in value]
    if isinstance(value, bytes):
        return _text(value)[0]
    return value


def dumps(value: Any, *, pretty: bool) -> str:
    """One JSON document."""
    data = msgspec.json.encode(to_json(value))
    return (msgspec.json.format(data, indent=2) if pretty else data).decode()


def _map(items: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for key, value in items:
        if isinstance(value, bytes):
            plain[key], encoding = _text(value)
            if encoding is not None:
                plain[f"{key}_encoding"] = encoding
        else:
            plain[key] = to_json(value)
    return plain


def _text(data: bytes) -> tuple[str, str | None]:
    try:
        return data.decode(), None
    except UnicodeDecodeError:
        return base64.b64encode(data).decode(), "base64"
