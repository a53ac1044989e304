"""What is signed, byte for byte, and what is no key."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.signing import SigningKey
from nkeys import PREFIX_BYTE_USER, encode_seed

from wharfside_protocol.codec import pack
from wharfside_protocol.digest import command_digest
from wharfside_protocol.envelope import Command, Expect
from wharfside_protocol.errors import Invalid
from wharfside_protocol.signing import (
    KEY_HEADER,
    SIGNATURE_HEADER,
    TIME_HEADER,
    PublicKey,
    Signer,
    signed_bytes,
)
from wharfside_protocol.times import from_timestamp

RAW = bytes(range(32))
SEED = "SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y"
KEY = "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK"
AT = "2026-01-31T09:00:00.000000000Z"
COMMAND = Command(
    id="vector-0001",
    op="start",
    node="n1",
    deadline="2026-01-31T09:00:30Z",
    expect=Expect(run=0, revision=4),
    actor="ci",
    args={"container": "web"},
)
DIGEST = command_digest(COMMAND.op, COMMAND.args)
BYTES = (
    b"wharfside-command-v1\nvector-0001\nstart\nn1\n"
    b"2026-01-31T09:00:00.000000000Z\n2026-01-31T09:00:30Z\n- 0 4\n" + DIGEST.encode()
)


def headers() -> dict[str, str]:
    return Signer(SEED).headers(COMMAND, DIGEST, from_timestamp(AT))


def test_the_signed_bytes_can_be_made_in_any_language() -> None:
    assert signed_bytes(COMMAND, DIGEST, AT) == BYTES


def test_headers_are_those_that_any_other_ed25519_makes() -> None:
    """libsodium by itself, without our encoding of seeds and keys."""
    signature = SigningKey(RAW).sign(BYTES).signature
    told = headers()
    assert told[SIGNATURE_HEADER] == base64.urlsafe_b64encode(signature).decode().rstrip("=")
    assert (told[KEY_HEADER], told[TIME_HEADER]) == (KEY, AT)


def test_the_documents_example_is_this_one() -> None:
    text = (Path(__file__).parents[3] / "docs" / "protocol.md").read_text()
    packed = pack([COMMAND.op, dict(COMMAND.args)]).hex()
    told = [f"{name}: {value}" for name, value in headers().items()]
    assert [each for each in (SEED, packed, BYTES.decode(), *told) if each not in text] == []


def test_seed_and_key_are_nkeys() -> None:
    assert encode_seed(RAW, PREFIX_BYTE_USER).decode() == SEED
    assert Signer(SEED).key == KEY


@settings(max_examples=60, deadline=None, database=None)
@given(st.integers(0, len(BYTES) - 1), st.integers(1, 255))
def test_no_byte_may_be_another(at: int, flip: int) -> None:
    changed = bytearray(BYTES)
    changed[at] ^= flip
    key, signature = PublicKey(KEY), headers()[SIGNATURE_HEADER]
    assert key.signed(BYTES, signature)
    assert not key.signed(bytes(changed), signature)


NO_SIGNATURES = ("", "A" * 85, "A" * 86, "A" * 86 + "==", "ä" * 86, "A" * 85 + "\n")


@pytest.mark.parametrize("text", NO_SIGNATURES)
def test_what_is_no_signature_is_refused(text: str) -> None:
    assert not PublicKey(KEY).signed(BYTES, text)


NO_KEYS = ("", "U", KEY[:-1], KEY + "A", KEY.lower(), KEY[:-1] + "A", f"{KEY}\n", "ä" * 56)
NO_USERS_KEYS = (KEY[:9] + "Q" + KEY[10:], "AB" + KEY[2:], SEED)


@pytest.mark.parametrize("text", NO_KEYS + NO_USERS_KEYS)
def test_what_is_no_users_public_key_is_told(text: str) -> None:
    with pytest.raises(Invalid, match="public nkey"):
        PublicKey(text)


NO_SEEDS = ("", "SU", KEY, SEED[:-1], SEED[:-1] + "A", SEED.lower(), "ä")
NO_USERS_SEEDS = (SEED[:20] + "Q" + SEED[21:], "SAAAA" + SEED[5:])


@pytest.mark.parametrize("text", NO_SEEDS + NO_USERS_SEEDS)
def test_what_is_no_users_seed_is_told(text: str) -> None:
    with pytest.raises(Invalid, match="seed") as told:
        Signer(text)
    assert SEED not in told.value.message
