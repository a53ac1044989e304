"""Values of every record, derived from its annotations: types, Meta bounds and patterns."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import Any, TypeVar

import msgspec.inspect as mi
from hypothesis import Phase, find, settings
from hypothesis import strategies as st

import wharfside_protocol
from wharfside_protocol.records import MAX_SAFE_INTEGER, Record
from wharfside_protocol.specs import Network, Restart, Source

T = TypeVar("T", bound=Record)

CHARACTERS = st.characters(codec="utf-8")
SAFE_INTEGERS = st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
KEYS = st.text(CHARACTERS, max_size=8)
SCALARS = st.booleans() | SAFE_INTEGERS | FINITE | st.text(CHARACTERS, max_size=8) | st.binary()
ANYTHING = st.recursive(
    SCALARS,
    # nil stands only in lists: in a map it means absent, and does not come back
    lambda inner: (
        st.lists(inner | st.none(), max_size=4) | st.dictionaries(KEYS, inner, max_size=4)
    ),
    max_leaves=8,
)


def all_records() -> list[type[Record]]:
    """Every record of the package, found by walking it."""
    for module in pkgutil.walk_packages(wharfside_protocol.__path__, "wharfside_protocol."):
        importlib.import_module(module.name)
    found: list[type[Record]] = []
    waiting: list[type[Record]] = [Record]
    while waiting:
        below = waiting.pop().__subclasses__()
        found += below
        waiting += below
    return sorted(set(found), key=lambda kind: kind.__name__)


@cache
def records(kind: type[Record]) -> st.SearchStrategy[Any]:
    """Valid records of `kind`."""
    if kind in _RULED:
        return _RULED[kind]
    info = mi.type_info(kind)
    assert isinstance(info, mi.StructType)
    return st.fixed_dictionaries(
        {field.name: _of(field.type) for field in info.fields if field.required},
        optional={field.name: _of(field.type) for field in info.fields if not field.required},
    ).map(lambda values: kind(**_agreeing(values)))


def _agreeing(values: dict[str, Any]) -> dict[str, Any]:
    """ContainerSpec: what is removed at its end is not started again. Io: `ship` needs `log`."""
    restart = values.get("restart")
    if values.get("auto_remove") and isinstance(restart, Restart) and restart.policy != "no":
        return values | {"auto_remove": False}
    if values.get("ship"):
        return values | {"log": True}
    return values


def field_types(kind: type[Record]) -> dict[str, list[mi.Type]]:
    """By wire name: the types that a field may have."""
    info = mi.type_info(kind)
    assert isinstance(info, mi.StructType)
    return {field.encode_name: _alternatives(field.type) for field in info.fields}


def _alternatives(info: mi.Type) -> list[mi.Type]:
    return list(info.types) if isinstance(info, mi.UnionType) else [info]


def _of(info: mi.Type) -> st.SearchStrategy[Any]:
    if isinstance(info, mi.StructType):
        return records(info.cls)
    if isinstance(info, mi.UnionType):
        return st.one_of([_of(each) for each in info.types])
    if isinstance(info, mi.ListType):
        return st.lists(_of(info.item_type), **_sizes(info))
    if isinstance(info, mi.DictType):
        return st.dictionaries(_of(info.key_type), _of(info.value_type), **_sizes(info))
    if isinstance(info, mi.Metadata):
        return _of(info.type)
    return _scalar(info)


def _scalar(info: mi.Type) -> st.SearchStrategy[Any]:
    match info:
        case mi.StrType():
            return _text(info)
        case mi.IntType():
            return st.integers(_or(info.ge, -MAX_SAFE_INTEGER), _or(info.le, MAX_SAFE_INTEGER))
        case mi.FloatType():
            return st.floats(info.ge, info.le, allow_nan=False, allow_infinity=False)
        case mi.BoolType():
            return st.booleans()
        case mi.BytesType():
            return st.binary()
        case mi.NoneType():
            return st.none()
        case mi.EnumType():
            return st.sampled_from(list(info.cls))
        case mi.LiteralType():
            return st.sampled_from(info.values)
        case mi.AnyType():
            return ANYTHING
    raise AssertionError(f"no strategy for {info}: teach this file the type")


def _text(info: mi.StrType) -> st.SearchStrategy[str]:
    if info.pattern is None:
        return st.text(CHARACTERS, **_sizes(info))
    texts = st.from_regex(info.pattern, alphabet=CHARACTERS)
    low, high = info.min_length or 0, _or(info.max_length, 1 << 20)
    return texts.filter(lambda text: low <= len(text) <= high)


def _sizes(info: mi.StrType | mi.ListType | mi.DictType) -> dict[str, Any]:
    """At most four items: more of the same finds nothing, and takes long."""
    low = info.min_length or 0
    return {"min_size": low, "max_size": min(_or(info.max_length, low + 4), low + 4)}


def _or(bound: Any, default: int) -> Any:
    return default if bound is None else bound


def _ruled() -> dict[type, st.SearchStrategy[Any]]:
    """Records with a rule across fields, which no annotation can say."""
    path = st.from_regex(r"^/[a-z/.]{0,20}$", fullmatch=True)
    modes = st.sampled_from(["none", "host"])
    return {
        Source: st.builds(Source, bundle=path, readonly=st.booleans())
        | st.builds(Source, rootfs=path, readonly=st.booleans()),
        Restart: st.builds(
            Restart,
            policy=st.just("on-failure"),
            max_retries=st.none() | st.integers(1, MAX_SAFE_INTEGER),
        )
        | st.builds(Restart, policy=st.sampled_from(["no", "always", "unless-stopped"])),
        Network: st.builds(Network, mode=modes)
        | st.builds(Network, mode=st.just("path"), path=path),
    }


_RULED = _ruled()


def example(kind: type[T]) -> T:
    """The simplest valid record of `kind`."""
    found: T = _simplest(kind)
    return found


@cache
def _simplest(kind: type[Record]) -> Any:
    return find(records(kind), lambda _: True, settings=_FIRST)


_FIRST = settings(max_examples=1, phases=[Phase.generate], database=None, deadline=None)
