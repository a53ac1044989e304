"""Ways in: password, nkey, credentials file, TLS, and contexts of the nats CLI."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nkeys
import pytest
from tests.support.nats_server import NatsServer
from tests.support.requirements import requires

from wharfside_client import NodeUnreachable, ServerSettings, ServerUnreachable, connect
from wharfside_client.contexts import find_settings
from wharfside_client.errors import ClientError, Refused

pytestmark = requires("nats-server")


def new_key(kind: int) -> tuple[bytes, nkeys.KeyPair]:
    seed = nkeys.encode_seed(os.urandom(32), kind)
    return seed, nkeys.from_seed(bytearray(seed))


def signed(signer: nkeys.KeyPair, subject: nkeys.KeyPair, kind: str, **claims: Any) -> str:
    """A NATS JWT, version 2 (nats-io/jwt: header, claims, ed25519 over both)."""

    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    body = {
        "jti": base64.b32encode(os.urandom(20)).decode(),
        "iat": int(time.time()),
        "iss": signer.public_key.decode(),
        "sub": subject.public_key.decode(),
        "name": kind,
        "nats": {"type": kind, "version": 2, **claims},
    }
    text = f"{part({'typ': 'JWT', 'alg': 'ed25519-nkey'})}.{part(body)}"
    signature = base64.urlsafe_b64encode(signer.sign(text.encode())).rstrip(b"=").decode()
    return f"{text}.{signature}"


async def get_in(settings: ServerSettings) -> None:
    """A server that answers (that there is no such node) has let us in."""
    async with connect(settings) as fleet:
        with pytest.raises(NodeUnreachable):
            await fleet.node("n1").ping(unreachable_s=0)


async def test_with_an_nkey(start_nats_server: Callable[..., NatsServer], tmp_path: Path) -> None:
    seed, key = new_key(nkeys.PREFIX_BYTE_USER)
    config = f'authorization {{ users = [{{nkey: "{key.public_key.decode()}"}}] }}'
    server = start_nats_server(config)
    (tmp_path / "user.nk").write_bytes(seed)
    await get_in(ServerSettings(servers=(server.url,), nkey=str(tmp_path / "user.nk")))
    (tmp_path / "other.nk").write_bytes(new_key(nkeys.PREFIX_BYTE_USER)[0])
    with pytest.raises(Refused):
        await get_in(ServerSettings(servers=(server.url,), nkey=str(tmp_path / "other.nk")))


async def test_with_a_credentials_file(
    start_nats_server: Callable[..., NatsServer], tmp_path: Path
) -> None:
    _, operator = new_key(nkeys.PREFIX_BYTE_OPERATOR)
    _, account = new_key(nkeys.PREFIX_BYTE_ACCOUNT)
    seed, user = new_key(nkeys.PREFIX_BYTE_USER)
    unlimited = {"subs": -1, "conn": -1, "leaf": -1, "imports": -1, "exports": -1, "data": -1}
    account_jwt = signed(operator, account, "account", limits={**unlimited, "payload": -1})
    user_jwt = signed(account, user, "user", subs=-1, data=-1, payload=-1)
    server = start_nats_server(
        f"operator: {signed(operator, operator, 'operator')}\n"
        "resolver: MEMORY\n"
        f"resolver_preload {{ {account.public_key.decode()}: {account_jwt} }}\n",
        jetstream=False,
    )
    creds = tmp_path / "user.creds"
    creds.write_text(
        f"-----BEGIN NATS USER JWT-----\n{user_jwt}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{seed.decode()}\n------END USER NKEY SEED------\n"
    )
    await get_in(ServerSettings(servers=(server.url,), creds=str(creds)))


async def test_with_a_password_in_the_url(start_nats_server: Callable[..., NatsServer]) -> None:
    server = start_nats_server("authorization { user: ops, password: right }")
    await get_in(ServerSettings(servers=(server.url.replace("//", "//ops:right@"),)))
    with pytest.raises(Refused):
        await get_in(ServerSettings(servers=(server.url.replace("//", "//ops:wrong@"),)))


async def test_with_a_context_of_the_nats_cli(
    start_nats_server: Callable[..., NatsServer], tmp_path: Path
) -> None:
    server = start_nats_server("authorization { user: ops, password: right }")
    folder = tmp_path / "nats/context"
    folder.mkdir(parents=True)
    context = {"url": server.url, "user": "ops", "password": "right"}
    (folder / "lab.json").write_text(json.dumps(context))
    await get_in(find_settings({}, "lab", {"XDG_CONFIG_HOME": str(tmp_path)}))


@requires("openssl")
async def test_with_tls(start_nats_server: Callable[..., NatsServer], tmp_path: Path) -> None:
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", key, "-out", cert, "-days", "1", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True, timeout=20,
    )  # fmt: skip
    server = start_nats_server(f'tls {{ cert_file: "{cert}", key_file: "{key}" }}')
    await get_in(ServerSettings(servers=(server.url,), ca=str(cert)))
    with pytest.raises(ClientError) as caught:
        await get_in(ServerSettings(servers=(server.url.replace("nats:", "tls:"),)))
    assert isinstance(caught.value, ServerUnreachable | Refused)
    assert "certificate" in caught.value.message.lower()
