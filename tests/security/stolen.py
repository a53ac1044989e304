"""Credentials made by somebody who has a key that is not theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.security.secured import ISSUED, Secured

from wharfside_client.auth import jwts
from wharfside_client.auth.keys import Key, Kind
from wharfside_protocol.rights import Account, Role


def signer_of(secured: Secured, role: Role) -> Key:
    """The signing key of a role, as it lies on the operator's machine."""
    (path,) = (secured.auth.path / "keys").glob(f"{role}-*.nk")
    return Key.read(path, Kind.ACCOUNT)


def identity_of(secured: Secured, account: Account) -> Key:
    return Key.read(secured.auth.path / "keys" / f"{account}.nk", Kind.ACCOUNT)


def forged(
    secured: Secured,
    folder: Path,
    name: str,
    signer: Key,
    account: Account,
    *,
    expires: int | None = None,
    **claims: Any,
) -> Path:
    """The creds file of a user that nobody but `signer` knows of."""
    trust = secured.state.trust
    assert trust is not None
    nats = {"type": "user", "issuer_account": trust.accounts[account], **claims}
    user = Key.make(Kind.USER)
    token = jwts.sign(signer, user.public, name, nats, issued=ISSUED, expires=expires)
    path = folder / f"{user.public}.creds"
    path.write_text(jwts.creds(token, user))
    return path
