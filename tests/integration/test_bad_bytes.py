"""Hostile and broken messages over the bus: each gets a typed error and changes nothing."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest
from nats.errors import NoRespondersError
from tests.integration.canary import nothing_changes
from tests.integration.raw import Raw, new_id
from tests.integration.world import Site

from wharfside_protocol.errors import ErrorCode
from wharfside_protocol.ops import OPS

KIB = 1024
MIB = 1024 * KIB


def packed(**fields: Any) -> bytes:
    """An envelope that is good but for `fields`."""
    good = {"id": new_id(), "op": "list", "node": "n1", "args": {}}
    return bytes(msgpack.packb(good | fields))


def twice(key: str) -> bytes:
    """An envelope in which `key` stands twice."""
    pairs = [("id", new_id()), ("op", "list"), ("node", "n1"), (key, {}), (key, {})]
    packer = msgpack.Packer(autoreset=False)
    packer.pack_map_pairs(pairs)
    return bytes(packer.bytes())


def nested(depth: int, opening: bytes) -> bytes:
    """`args` of so many arrays or maps, each in the one before."""
    head = packed(args=None)[:-1]
    return head + opening * depth + b"\xc0"


BAD_BYTES = {
    "nothing": b"",
    "text": b"hello",
    "json": b'{"id": "12345678", "op": "list", "node": "n1"}',
    "a byte that msgpack never uses": b"\xc1",
    "a number": msgpack.packb(7),
    "nil": msgpack.packb(None),
    "a list": msgpack.packb([1, 2]),
    "cut off": packed()[:-3],
    "something behind it": packed() + b"\x00",
    "keys that are numbers": msgpack.packb({1: 2}),
    "text that is not UTF-8": b"\x81\xa2id\xa4\xff\xff\xff\xff",
    "the same key twice": twice("args"),
    "an extension": packed(args={"a": msgpack.ExtType(5, b"x")}),
    "a msgpack time": packed(args={"a": msgpack.Timestamp(0)}),
    "10,000 lists deep": nested(10_000, b"\x91"),
    "10,000 maps deep": nested(10_000, b"\x81\xa1a"),
    "a list announced and not there": b"\xdd\xff\xff\xff\xff",
    "a map announced and not there": b"\xdf\xff\xff\xff\xff",
    "a string announced and not there": b"\x81\xa2id\xdb\xff\xff\xff\xff",
    "5 MB in one string": packed(args={"a": "x" * (5 * MIB)}),
    "5 MB of small lists": packed(args={"a": [[]] * (5 * MIB)}),
    "5 MB of nothing": b"\x00" * (5 * MIB),
    "just beyond 900 KiB": packed(args={"a": b"x" * (900 * KIB)}),
    "an integer beyond 2^53": packed(args={"limit": 2**53}),
    "the largest integer": packed(args={"limit": 2**64 - 1}),
    "the smallest integer": packed(args={"limit": -(2**63)}),
    "NaN": packed(args={"a": float("nan")}),
    "infinity": packed(args={"a": float("inf")}),
}

BAD_IDS = [
    "",
    "short",
    "x" * 65,
    "a.b.c.d.e",
    "../../../etc",
    "12345678/9",
    "1234567\x00",
    "12345678\n",
]

BAD_ENVELOPES: dict[str, dict[str, Any]] = {
    "no id": {"id": None},
    "an id that is a number": {"id": 12345678},
    "no op": {"op": None},
    "another op than the subject's": {"op": "ping"},
    "another node": {"node": "n2"},
    "a node that is none": {"node": "N1."},
    "no node": {"node": None},
    "args that are a list": {"args": [1]},
    "args that are text": {"args": "x"},
    "a deadline that is no time": {"deadline": "tomorrow"},
    "a deadline that no calendar has": {"deadline": "2026-02-30T00:00:00Z"},
    "a deadline that is a number": {"deadline": 1_800_000_000},
    "a fence of the wrong type": {"expect": {"revision": "1"}},
    "a fence below nought": {"expect": {"run": -1}},
    "a fence that is no ULID": {"expect": {"incarnation": "latest"}},
    "an actor without an end": {"actor": "x" * 129},
    "a version that is text": {"v": "1"},
}

NO_NAMES = {
    "nothing": "",
    "a dot": "a.b",
    "a slash": "a/b",
    "this folder": ".",
    "the folder above": "..",
    "a path out": "../../etc",
    "NUL": "a\x00b",
    "a newline at the end": "a\n",
    "a wildcard": "*",
    "the rest of a subject": ">",
    "a blank": "a b",
    "upper case": "Web",
    "a dash first": "-a",
    "the node's own token": "_node",
    "64 letters": "a" * 64,
    "other letters": "wörk",
    "a number": 7,
    "nil": None,
    "a list": ["a"],
}


async def test_what_is_no_message_is_invalid(site: Site, raw: Raw) -> None:
    async with nothing_changes(site):
        for what, data in BAD_BYTES.items():
            answer = await raw.to("n1", "list", data)
            assert answer.error is not None, what
            assert answer.error.code is ErrorCode.INVALID, (what, answer.error)


async def test_what_is_no_envelope_is_invalid(site: Site, raw: Raw) -> None:
    bad_ids = {f"the id {id_!r:.20}": {"id": id_} for id_ in BAD_IDS}
    async with nothing_changes(site):
        for what, fields in (BAD_ENVELOPES | bad_ids).items():
            answer = await raw.to("n1", "list", packed(**fields))
            assert answer.error is not None, what
            assert answer.error.code is ErrorCode.INVALID, (what, answer.error)


async def test_unknown_ops_and_versions_are_unsupported_and_named(site: Site, raw: Raw) -> None:
    async with nothing_changes(site):
        for op in ("no-such", "LIST", "log", "check-point", "__init__"):
            answer = await raw.to("n1", op, packed(op=op))
            assert answer.error is not None, op
            assert answer.error.code is ErrorCode.UNSUPPORTED, op
            assert op in answer.error.message
        answer = await raw.to("n1", "list", packed(v=2))
        assert answer.error is not None
        assert answer.error.code is ErrorCode.UNSUPPORTED
        assert "2" in answer.error.message


async def test_fields_that_nobody_knows_are_ignored(site: Site, raw: Raw) -> None:
    answer = await raw.to("n1", "list", packed(future={"a": 1}, args={"later": True, "limit": 1}))
    assert answer.ok


@pytest.mark.parametrize("op", [op for op in OPS if "container" in OPS[op].args.__struct_fields__])
async def test_no_op_takes_what_is_no_name(site: Site, raw: Raw, op: str) -> None:
    async with nothing_changes(site):
        for what, name in NO_NAMES.items():
            if name is None and op in ("checkpoints", "facts"):  # of the node
                continue
            args = _minimal(site, op) | {"container": name}
            answer = await raw.to("n1", op, packed(op=op, args=args))
            assert answer.error is not None, what
            assert answer.error.code is ErrorCode.INVALID, (what, answer.error)


async def test_processes_and_commands_have_names_as_well(site: Site, raw: Raw) -> None:
    name = await site.run()
    process = {"args": ["/bin/true"]}
    async with nothing_changes(site):
        for what, bad in NO_NAMES.items():
            if bad is None:
                continue  # left out, they have their defaults
            asked = [
                ("exec", {"container": name, "process": process, "exec": bad}),
                ("signal", {"container": name, "process": bad}),
                ("wait", {"container": name, "process": bad}),
                ("inspect", {"container": name, "incarnation": bad}),
                ("list", {"after": bad}),
            ]
            for op, args in asked:
                answer = await raw.to("n1", op, packed(op=op, args=args))
                assert answer.error is not None, (op, what)
                assert answer.error.code is ErrorCode.INVALID, (op, what, answer.error)


async def test_other_commands_are_named_by_their_ids(site: Site, raw: Raw) -> None:
    async with nothing_changes(site):
        for id_ in [*BAD_IDS, None, 7]:
            for op in ("result", "cancel"):
                answer = await raw.to("n1", op, packed(op=op, args={"command": id_}))
                assert answer.error is not None, (op, id_)
                assert answer.error.code is ErrorCode.INVALID, (op, id_, answer.error)


async def test_a_subject_with_more_tokens_reaches_nobody(site: Site, raw: Raw) -> None:
    async with nothing_changes(site):
        for subject in ("rpc.n1.list.more", "rpc.n1", "rpc.n2.list"):
            with pytest.raises(NoRespondersError):
                await raw.send(f"wharfside.v1.{subject}", packed())


def _minimal(site: Site, op: str) -> dict[str, Any]:
    """Arguments of `op` that are good but for the name."""
    process = {"args": ["/bin/true"]}
    source = {"rootfs": str(site.world.rootfs)}
    minimal: dict[str, dict[str, Any]] = {
        "create": {"source": source, "process": process},
        "run": {"source": source, "process": process},
        "exec": {"process": process},
        "update": {"limits": {"pids": 10}},
    }
    return minimal.get(op, {})
