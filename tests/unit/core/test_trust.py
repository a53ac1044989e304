"""What a signature proves, and what each that proves nothing is refused for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from nkeys import PREFIX_BYTE_USER, encode_seed

from wharfside_agent.core.actors import Actor
from wharfside_agent.core.trust import AHEAD_S, Require, Trust, TrustedKey
from wharfside_protocol.digest import command_digest
from wharfside_protocol.envelope import Command, Expect
from wharfside_protocol.errors import Denied
from wharfside_protocol.ops import OPS
from wharfside_protocol.signing import (
    HEADERS,
    KEY_HEADER,
    SIGNATURE_HEADER,
    TIME_HEADER,
    Signer,
)
from wharfside_protocol.times import NANOSECONDS, to_timestamp

NOW = 1_800_000_000 * NANOSECONDS
CI, STRANGER = (Signer(encode_seed(bytes([n] * 32), PREFIX_BYTE_USER).decode()) for n in (0, 1))
TRUSTED = TrustedKey(CI.key, "ci", "deployer")
COMMAND = Command(
    id="command-1",
    op="pause",
    node="n1",
    deadline=to_timestamp(NOW + 30 * NANOSECONDS),
    expect=Expect(revision=3),
    args={"container": "web"},
)


def signed(command: Command = COMMAND, signer: Signer = CI, at: int = NOW) -> dict[str, str]:
    return signer.headers(command, command_digest(command.op, command.args), at)


def proven(
    command: Command = COMMAND,
    headers: dict[str, str] | None = None,
    trust: Trust | None = None,
) -> Actor:
    trust = trust or Trust([TRUSTED])
    digest = command_digest(command.op, command.args)
    return trust.proven(command, digest, signed() if headers is None else headers, NOW)


def refused(rule: str, call: Callable[[], Any]) -> str:
    with pytest.raises(Denied) as told:
        call()
    assert told.value.details == {"rule": f"trust.{rule}"}
    return told.value.message


@pytest.mark.parametrize("claimed", [None, "ci"])
def test_it_proves_the_keys_actor(claimed: str | None) -> None:
    command = replace(COMMAND, actor=claimed)
    assert proven(command) == Actor("ci", "deployer", proven=True, key=CI.key)


@pytest.mark.parametrize(
    "other",
    [
        {"id": "command-2"},
        {"op": "resume"},
        {"node": "n2"},
        {"deadline": to_timestamp(NOW + 31 * NANOSECONDS)},
        {"expect": None},
        {"expect": Expect(revision=4)},
        {"expect": Expect(run=3)},
        {"args": {"container": "db"}},
        {"args": {"container": "web", "more": 1}},
    ],
    ids=lambda other: "-".join(f"{key}" for key in other),
)
def test_a_signature_over_something_else_proves_nothing(other: dict[str, Any]) -> None:
    message = refused("signature", lambda: proven(replace(COMMAND, **other)))
    assert "not ci's over this command" in message


def test_the_time_of_signing_is_signed() -> None:
    headers = signed() | {TIME_HEADER: to_timestamp(NOW + 1)}
    refused("signature", lambda: proven(headers=headers))


def test_an_unknown_key_is_told() -> None:
    message = refused("keys", lambda: proven(headers=signed(signer=STRANGER)))
    assert STRANGER.key in message
    refused("keys", lambda: proven(headers=signed() | {KEY_HEADER: "x" * 10_000}))


def test_another_keys_name_does_not_help() -> None:
    refused("signature", lambda: proven(headers=signed(signer=STRANGER) | {KEY_HEADER: CI.key}))


@pytest.mark.parametrize("missing", HEADERS)
def test_half_a_signature_is_none(missing: str) -> None:
    headers = {name: text for name, text in signed().items() if name != missing}
    refused("signature", lambda: proven(headers=headers))


@pytest.mark.parametrize("text", ["", "yesterday", "2026-01-31T09:00:00Z\nx"])
def test_a_time_that_is_none(text: str) -> None:
    refused("signature", lambda: proven(headers=signed() | {TIME_HEADER: text}))


def test_without_a_deadline_it_would_be_good_for_ever() -> None:
    endless = replace(COMMAND, deadline=None)
    refused("deadline", lambda: proven(endless, signed(endless)))


def test_who_claims_to_be_another_than_the_key_says() -> None:
    message = refused("actor", lambda: proven(replace(COMMAND, actor="root")))
    assert "root" in message
    assert "ci's" in message


def test_what_a_new_store_may_have_forgotten_is_not_done_again() -> None:
    trust = Trust([TRUSTED], remembers_since=NOW)
    before = signed(at=NOW - 1)
    assert "store began" in refused("signed-at", lambda: proven(headers=before, trust=trust))
    assert proven(trust=trust).proven


def test_a_signers_clock_may_be_ahead_only_a_little() -> None:
    assert proven(headers=signed(at=NOW + AHEAD_S * NANOSECONDS)).proven
    late = signed(at=NOW + AHEAD_S * NANOSECONDS + 1)
    assert "clock" in refused("signed-at", lambda: proven(headers=late))


@pytest.mark.parametrize(
    ("require", "op", "enough"),
    [
        ("never", "delete", True),
        ("changes", "list", True),
        ("changes", "logs", True),
        ("changes", "delete", False),
        ("changes", "attach", False),
        ("changes", "put-archive", False),
        ("changes", "load-checkpoint", False),
        ("changes", "cancel", False),
        ("always", "ping", False),
    ],
)
def test_what_needs_a_signature(require: Require, op: str, enough: bool) -> None:
    trust, actor = Trust([TRUSTED], require), Actor("somebody")
    if enough:
        assert trust.unproven(actor, OPS[op]) == actor
    else:
        assert "--sign-key" in refused("require", lambda: trust.unproven(actor, OPS[op]))


def test_a_node_that_trusts_no_key_looks_at_no_signature() -> None:
    assert not Trust().looks_at(signed())
    assert Trust([TRUSTED]).looks_at({SIGNATURE_HEADER: ""})
    assert not Trust([TRUSTED]).looks_at({"traceparent": "x"})


def test_a_command_of_a_former_life_is_judged_by_the_keys_of_this_one() -> None:
    actor = proven()
    assert Trust([TrustedKey(CI.key, "ci", "viewer")]).still(actor, OPS["pause"]).role == "viewer"
    refused("keys", lambda: Trust([TrustedKey(STRANGER.key, "x")]).still(actor, OPS["pause"]))
    refused("require", lambda: Trust([TRUSTED], "changes").still(Actor("ci"), OPS["pause"]))
    assert Trust([TRUSTED]).still(Actor("ci"), OPS["pause"]) == Actor("ci")


TEXT = st.text(max_size=120) | st.sampled_from([CI.key, STRANGER.key, to_timestamp(NOW), *HEADERS])


@settings(max_examples=200, deadline=None, database=None)
@given(st.dictionaries(st.sampled_from([*HEADERS, "traceparent"]), TEXT))
def test_whatever_is_in_the_headers_is_denied_or_not_looked_at(headers: dict[str, str]) -> None:
    trust = Trust([TRUSTED])
    if trust.looks_at(headers):
        with pytest.raises(Denied):
            proven(headers=headers, trust=trust)
    else:
        assert not set(headers) & set(HEADERS)
