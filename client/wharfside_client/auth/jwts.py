"""NATS JWTs, version 2: claims, signed by the key of who issues them (nats-io/jwt).

Not JOSE's: the algorithm is `ed25519-nkey`, issuer and subject are public nkeys, and what
they are about stands under `nats`. A server in operator mode trusts what its operator signed:
the operator signs accounts, an account (or a signing key that it names) signs users.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

import msgspec

from wharfside_client.auth.errors import BadToken
from wharfside_client.auth.keys import Key

UNLIMITED = -1
"""Of any limit. One that is left out is 0: nothing at all."""

_HEADER = {"typ": "JWT", "alg": "ed25519-nkey"}
_CREDS = """-----BEGIN NATS USER JWT-----
{jwt}
------END NATS USER JWT------

************************* IMPORTANT *************************
Whoever has this file is this user on the bus.

-----BEGIN USER NKEY SEED-----
{seed}
------END USER NKEY SEED------

*************************************************************
"""
_IN_CREDS = re.compile(r"BEGIN NATS USER JWT-+\s+([\w.-]+)")


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What a JWT says.

    Attributes:
        iat, exp: issued, and not valid from (None: never), in seconds since 1970.
        iss, sub: public keys of the issuer and of whom it is about.
        nats: what is claimed, by the names of nats-io/jwt.
    """

    jti: str
    iat: int
    iss: str
    sub: str
    name: str = ""
    exp: int | None = None
    nats: dict[str, Any]


def sign(
    issuer: Key,
    subject: str,
    name: str,
    nats: dict[str, Any],
    *,
    issued: int,
    expires: int | None = None,
) -> str:
    """A JWT about the public key `subject`; `nats` has its `type` and what else it claims.

    Issued and expiring at so many seconds since 1970; expiring never, where left out.

    The same arguments give the same text: a server takes one that it has for no change.
    """
    claims: dict[str, Any] = {
        "iat": issued,
        "iss": issuer.public,
        "sub": subject,
        "name": name,
        "nats": {"version": 2, **nats},
    }
    if expires is not None:
        claims["exp"] = expires
    claims["jti"] = _digest(claims)
    text = f"{_part(msgspec.json.encode(_HEADER))}.{_part(msgspec.json.encode(claims))}"
    return f"{text}.{_part(issuer.sign(text.encode()))}"


def read(token: str) -> Claims:
    """What a JWT says; its signature is the server's to check.

    Raises:
        BadToken: it is none.
    """
    try:
        _, body, _ = token.strip().split(".")
        padded = body + "=" * (-len(body) % 4)
        return msgspec.json.decode(base64.urlsafe_b64decode(padded), type=Claims)
    except (ValueError, msgspec.DecodeError) as error:
        raise BadToken(f"this is no NATS JWT: {error}") from error


def creds(token: str, user: Key) -> str:
    """The text of a credentials file: a user's JWT and the seed that proves it."""
    return _CREDS.format(jwt=token, seed=user.seed)


def expiry_of_creds(path: Path) -> int | None:
    """When the user in a credentials file expires; None for never, or where it does not say."""
    try:
        found = _IN_CREDS.search(path.read_text(errors="replace"))
        return read(found[1]).exp if found else None
    except (OSError, BadToken):
        return None


def _digest(claims: dict[str, Any]) -> str:
    digest = hashlib.sha256(msgspec.json.encode(claims)).digest()
    return base64.b32encode(digest).rstrip(b"=").decode()


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
