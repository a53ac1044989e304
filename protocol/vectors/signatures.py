"""Signed commands: the seed, the bytes that are signed, and the headers that come of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nkeys import PREFIX_BYTE_USER, encode_seed

from wharfside_protocol.codec import encode, to_plain
from wharfside_protocol.digest import command_digest
from wharfside_protocol.envelope import Command, Expect
from wharfside_protocol.signing import Signer, signed_bytes
from wharfside_protocol.times import from_timestamp

SEED = encode_seed(bytes(range(32)), PREFIX_BYTE_USER).decode()
SIGNED_AT = "2026-01-31T09:00:00.000000000Z"
DEADLINE = "2026-01-31T09:00:30Z"
INCARNATION = "01KG9Z8M0000000000000000AB"

FENCES = {
    "without a fence": None,
    "with run and revision": Expect(run=0, revision=4),
    "with a whole fence": Expect(incarnation=INCARNATION, run=2, revision=9),
}


def vectors() -> Iterable[dict[str, Any]]:
    """`signed` is what the signature is over; `seed` and the key in `headers` are nkeys."""
    for name, fence in FENCES.items():
        command = Command(
            id="vector-0001",
            op="start",
            node="n1",
            deadline=DEADLINE,
            expect=fence,
            args={"container": "web"},
        )
        digest = command_digest(command.op, command.args)
        yield {
            "name": f"start, {name}",
            "record": "Command",
            "seed": SEED,
            "digest": digest,
            "signed": signed_bytes(command, digest, SIGNED_AT).decode(),
            "headers": Signer(SEED).headers(command, digest, from_timestamp(SIGNED_AT)),
            "json": to_plain(command),
            "msgpack": encode(command).hex(),
        }
