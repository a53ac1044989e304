"""What stays within version 1: the shape of every record, and the bytes of every vector.

`protocol/kept.json` has both. `make.py` writes what is new into it; nothing that is there may go or
grow narrower, and `breaches` names what has: then `make.py` writes nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from wharfside_protocol.schemas import catalogue

FILE = Path(__file__).parents[1] / "kept.json"

Schema = dict[str, Any]

TOLD = ("ops", "events", "frames", "buckets", "words", "envelopes")
WORDS = {"title", "description"}
"""For people: they may change."""
BELOW = {"items", "additionalProperties", "propertyNames"}
LEAST = {"minimum", "minLength", "minItems", "minProperties"}
MOST = {"maximum", "maxLength", "maxItems", "maxProperties"}


def today(vectors: Mapping[str, Iterable[Mapping[str, Any]]]) -> Schema:
    """The same of the code as it is, and of `vectors` by their families."""
    whole = catalogue()
    told = {part: whole[part] for part in TOLD}
    told["ops"] = {name: {"properties": op} for name, op in whole["ops"].items()}
    records = {name: shape(each) for name, each in sorted(whole["$defs"].items())}
    bytes_ = {
        family: {each["name"]: digest(each["msgpack"]) for each in those}
        for family, those in vectors.items()
    }
    return {**told, "records": records, "vectors": bytes_}


def shape(schema: Schema) -> Schema:
    """A schema without what it says to people; a field may well be called `title`."""
    told: Schema = {}
    for key, value in schema.items():
        if key == "properties":
            told[key] = {name: shape(each) for name, each in value.items()}
        elif key not in WORDS:
            told[key] = _shape(value)
    return told


def _shape(value: Any) -> Any:
    if isinstance(value, list):
        return [_shape(each) for each in value]
    return shape(value) if isinstance(value, dict) else value


def digest(data: str) -> str:
    return hashlib.sha256(bytes.fromhex(data)).hexdigest()[:16]


def read() -> Schema:
    return dict(json.loads(FILE.read_text())) if FILE.exists() else {}


def text(kept: Schema) -> str:
    """One record, op or family of vectors a line: a diff shows what was added."""
    parts = [f"{json.dumps(part)}: {{\n{_lines(those)}\n}}" for part, those in kept.items()]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _lines(those: Schema) -> str:
    each = (f"{json.dumps(name)}: {json.dumps(value)}" for name, value in those.items())
    return ",\n".join(each)


def breaches(kept: Schema, now: Schema) -> list[str]:
    """What a program that was written for `kept` would stumble over."""
    found: list[str] = []
    for family, was in kept["vectors"].items():
        found += _changed(was, now["vectors"].get(family, {}), f"{family}.json")
    comparison = Comparison(kept["records"], now["records"])
    for part in TOLD:
        found += comparison.fields(kept[part], now[part], part)
    return found


def _changed(was: Mapping[str, str], now: Mapping[str, str], where: str) -> Iterator[str]:
    for name, data in was.items():
        if now.get(name) != data:
            yield f"{where}: {name!r} is {'gone' if name not in now else 'of other bytes'}"


class Comparison:
    """Of schemas that name records: by what is in those, since their names do not travel."""

    def __init__(self, was: Schema, now: Schema) -> None:
        self._was = was
        self._now = now
        self._seen: set[tuple[str, str]] = set()

    def narrower(self, was: Schema, now: Schema, where: str) -> Iterator[str]:
        """How `now` takes less than `was`, or says something else by it."""
        pair = (was.get("$ref", ""), now.get("$ref", ""))
        if all(pair) and pair in self._seen:
            was, now = ({**each, "$ref": ""} for each in (was, now))
        else:
            self._seen.add(pair)
            where = pair[0].rpartition("/")[2] or where
            was, now = _opened(was, self._was), _opened(now, self._now)
        for key in sorted(was.keys() | now.keys()):
            yield from self._rule(key, was.get(key), now.get(key), where)

    def _rule(self, key: str, was: Any, now: Any, where: str) -> Iterator[str]:
        if key == "properties":
            yield from self.fields(was or {}, now or {}, where)
        elif key in BELOW and None not in (was, now):
            yield from self.narrower(was, now, f"{where} {key}")
        elif key == "anyOf" and len(was or ()) == len(now or ()):
            for before, after in zip(was, now, strict=True):
                yield from self.narrower(before, after, where)
        elif not _holds(key, was, now):
            yield f"{where}: {key} was {was}, and is {now}"

    def fields(self, was: Schema, now: Schema, where: str) -> Iterator[str]:
        for name, each in was.items():
            if name in now:
                yield from self.narrower(each, now[name], f"{where}.{name}")
            else:
                yield f"{where}.{name} is gone"


def _opened(schema: Schema, records: Schema) -> Schema:
    """With the record that it names, instead of the name."""
    rest = {key: value for key, value in schema.items() if key != "$ref"}
    return {**records[schema["$ref"].rpartition("/")[2]], **rest} if "$ref" in schema else rest


def _holds(key: str, was: Any, now: Any) -> bool:
    if key in LEAST:
        return now is None or (was is not None and now <= was)
    if key in MOST:
        return now is None or (was is not None and now >= was)
    if key == "enum":
        return now is None or (was is not None and set(was) <= set(now))
    if key == "required":
        return set(was or ()) == set(now or ())
    if key == "default" and isinstance(was, dict) and isinstance(now, dict):
        return was.items() <= now.items()
    return bool(was == now)
