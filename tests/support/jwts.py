"""An operator, an account and its users for a nats-server that knows users by their JWTs alone."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from typing import Any

import nkeys


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def make_key(prefix: int) -> nkeys.KeyPair:
    return nkeys.from_seed(bytearray(nkeys.encode_seed(os.urandom(32), prefix)))


def public(key: nkeys.KeyPair) -> str:
    return bytes(key.public_key).decode()


def make_jwt(
    issuer: nkeys.KeyPair, subject: nkeys.KeyPair, nats: dict[str, Any], expires: int | None
) -> str:
    """`expires`: seconds since 1970."""
    claims = {"iss": public(issuer), "sub": public(subject), "name": "test", "iat": 0, "nats": nats}
    if expires is not None:
        claims["exp"] = expires
    digest = hashlib.new("sha512_256", json.dumps(claims).encode()).digest()
    claims["jti"] = base64.b32encode(digest).rstrip(b"=").decode()
    header = _b64(json.dumps({"typ": "JWT", "alg": "ed25519-nkey"}).encode())
    body = f"{header}.{_b64(json.dumps(claims).encode())}"
    return f"{body}.{_b64(bytes(issuer.sign(body.encode())))}"


class Trust:
    """`config` is for the server; `creds` lets a new user in."""

    def __init__(self) -> None:
        self._operator = make_key(nkeys.PREFIX_BYTE_OPERATOR)
        self._account = make_key(nkeys.PREFIX_BYTE_ACCOUNT)

    @property
    def config(self) -> str:
        names = ("subs", "conn", "leaf", "imports", "exports", "data", "payload")
        everything = dict.fromkeys(names, -1) | {"wildcards": True}
        account = make_jwt(
            self._operator,
            self._account,
            {"type": "account", "version": 2, "limits": everything},
            None,
        )
        operator = make_jwt(
            self._operator, self._operator, {"type": "operator", "version": 2}, None
        )
        return (
            f"operator: {operator}\nresolver: MEMORY\n"
            f"resolver_preload: {{ {public(self._account)}: {account} }}\n"
        )

    def creds(self, expires: int | None = None) -> str:
        """The text of a creds file of a user that nobody knew before."""
        user = make_key(nkeys.PREFIX_BYTE_USER)
        nats = {"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1}
        jwt = make_jwt(self._account, user, nats, expires)
        seed = bytes(user.seed).decode()
        return (
            f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        )
