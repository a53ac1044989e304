"""Which key signs, what is signed by it, and what a client refuses to sign with."""

from __future__ import annotations

from pathlib import Path

import pytest
from nkeys import PREFIX_BYTE_USER, encode_seed

from wharfside_client.bus import Bus
from wharfside_client.calls import LATEST_S, Options, make_command
from wharfside_client.contexts import find_settings
from wharfside_client.errors import BadSettings
from wharfside_client.headers import headers_of
from wharfside_client.settings import ServerSettings
from wharfside_protocol.command_base import ContainerArgs
from wharfside_protocol.digest import command_digest
from wharfside_protocol.signing import (
    HEADERS,
    SIGNATURE_HEADER,
    TIME_HEADER,
    PublicKey,
    Signer,
    signed_bytes,
)
from wharfside_protocol.times import NANOSECONDS, from_timestamp

SEED = encode_seed(bytes(32), PREFIX_BYTE_USER).decode()
ARGS = ContainerArgs(container="web")


@pytest.fixture
def key(tmp_path: Path) -> Path:
    file = tmp_path / "ci.nk"
    file.write_text(f"{SEED}\n")
    return file


def test_the_headers_are_a_signature_of_this_command(key: Path) -> None:
    bus = Bus(ServerSettings(sign_key=str(key)))
    bus.signer = bus.settings.signer()
    command, _ = make_command("n1", "pause", ARGS, "me@here", Options(), signed=True)
    headers = headers_of(bus, command, "trace")
    assert headers is not None
    assert set(headers) == {"traceparent", *HEADERS}
    digest = command_digest("pause", command.args)
    message = signed_bytes(command, digest, headers[TIME_HEADER])
    assert PublicKey(Signer(SEED).key).signed(message, headers[SIGNATURE_HEADER])


def test_without_a_key_there_is_nothing_beside_a_command() -> None:
    command, _ = make_command("n1", "pause", ARGS, "me@here", Options())
    assert headers_of(Bus(ServerSettings()), command) is None
    assert command.actor == "me@here"


def test_a_signed_command_claims_nobody_and_has_a_deadline() -> None:
    """A durable one, too: the latest that the node takes."""
    options = Options(durable=True)
    command, _ = make_command("n1", "pause", ARGS, "me@here", options, signed=True)
    assert command.actor is None
    assert command.deadline is not None
    unsigned, _ = make_command("n1", "pause", ARGS, None, options)
    assert unsigned.deadline is None
    soon, _ = make_command("n1", "pause", ARGS, None, Options(timeout_s=5), signed=True)
    assert soon.deadline is not None
    apart = from_timestamp(command.deadline) - from_timestamp(soon.deadline)
    assert abs(apart - (LATEST_S - 5) * NANOSECONDS) < 60 * NANOSECONDS


def test_the_environment_may_name_the_key(key: Path) -> None:
    found = find_settings({}, None, {"WHARFSIDE_SIGN_KEY": str(key), "HOME": "/nonexistent"})
    signer = found.signer()
    assert signer is not None
    assert signer.key == Signer(SEED).key


def test_as_the_nk_tool_writes_it_with_its_public_key(key: Path) -> None:
    key.write_text(f"{SEED}\n{Signer(SEED).key}\n")
    assert ServerSettings(sign_key=str(key)).signer() is not None


@pytest.mark.parametrize("text", ["", "SU", SEED[:-1], Signer(SEED).key, "\0" * 40])
def test_what_holds_no_seed_is_told(key: Path, text: str) -> None:
    key.write_text(text)
    with pytest.raises(BadSettings, match="sign-key"):
        ServerSettings(sign_key=str(key)).signer()


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="No such file"):
        ServerSettings(sign_key=str(tmp_path / "none")).signer()


@pytest.mark.parametrize("way", ["nkey", "creds"])
def test_a_key_that_logs_in_does_not_sign(tmp_path: Path, key: Path, way: str) -> None:
    """A NATS server chooses what a login signs."""
    login = tmp_path / "login"
    login.write_text(f"-----BEGIN USER NKEY SEED-----\n{SEED}\n------END USER NKEY SEED------\n")
    settings = ServerSettings(sign_key=str(key), **{way: str(login)})  # type: ignore[arg-type]
    with pytest.raises(BadSettings, match="logs in, too"):
        settings.signer()
