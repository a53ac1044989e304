"""What the rights of Wharfside are in the words of NATS JWTs (nats-io/jwt v2); pure.

Each account has one signing key a role, bound to a template of that role's rights: whoever
steals such a key can make users of this role, under any name, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from wharfside_client.auth.jwts import UNLIMITED
from wharfside_protocol.assets import SECOND
from wharfside_protocol.rights import (
    Account,
    Rights,
    Role,
    Share,
    exports,
    imports,
    rights,
)
from wharfside_protocol.subjects import Subjects

NAME = "{{name()}}"
"""Stands for the user's name in a template; the server fills it in from the user's JWT."""

CLAIMS_UPDATE = "$SYS.REQ.CLAIMS.UPDATE"
"""A server with a full resolver takes an account's new JWT here, and tells the others."""

_STAND_IN = "the-user-s-name"
"""Rights are told of a real name only; this one is none that a role's own subjects have."""

_USER_SCOPE = "user_scope"
_CLIENTS = ["STANDARD", "WEBSOCKET"]
"""Not MQTT, and no leaf nodes: those bring a whole server with them."""

Activate = Callable[[Share, Account], str]
"""The token by which the owner of a share lets another account import it."""


def operator(signing_key: str, system_account: str) -> dict[str, Any]:
    """Accounts need the operator's signing key, users one of their account's: the identities
    can stay off line."""
    return {
        "type": "operator",
        "signing_keys": [signing_key],
        "system_account": system_account,
        "strict_signing_key_usage": True,
    }


def activation(share: Share) -> dict[str, Any]:
    return {"type": "activation", "subject": share.subject, "kind": str(share.kind)}


def user(account: str) -> dict[str, Any]:
    """Of an account's public key. No rights: the template of the signing key has them."""
    return {"type": "user", "issuer_account": account}


def system_account(signers: Sequence[str], revocations: Mapping[str, int]) -> dict[str, Any]:
    """Its one role may replace the claims of accounts, which the operator must have signed."""
    may = Rights((CLAIMS_UPDATE,), (f"_INBOX.{NAME}.>",))
    return _account([_scope(key, "system", may) for key in signers], revocations)


def account(
    which: Account,
    publics: Mapping[Account, str],
    signers: Mapping[Role, Sequence[str]],
    revocations: Mapping[str, int],
    activate: Activate,
    subjects: Subjects,
) -> dict[str, Any]:
    """One of the four.

    Args:
        publics: the accounts' public keys.
        signers: the public signing keys of the roles that live in it.
        revocations: until when (seconds since 1970) what was issued to a public key is void.
    """
    return _account(
        [
            _scope(key, role, template(role, subjects))
            for role, keys in signers.items()
            for key in keys
        ],
        revocations,
        exports=[_export(share) for share in _widest(exports(which, subjects))],
        imports=[
            _import(share, publics[share.owner], activate(share, which))
            for share in imports(which, subjects)
        ],
        jetstream=which is Account.HUB,
    )


def template(role: Role, subjects: Subjects) -> Rights:
    """The rights of a role, with the user's name left open."""
    told = rights(role, _STAND_IN, subjects)
    return Rights(_opened(told.publish), _opened(told.subscribe))


def _opened(subjects: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(subject.replace(_STAND_IN, NAME) for subject in subjects)


def _account(
    signing_keys: list[dict[str, Any]],
    revocations: Mapping[str, int],
    *,
    jetstream: bool = False,
    **crossings: Any,
) -> dict[str, Any]:
    counted = ("subs", "data", "payload", "imports", "exports", "conn", "leaf")
    stored = ("mem_storage", "disk_storage", "streams", "consumer") if jetstream else ()
    return {
        "type": "account",
        "limits": dict.fromkeys((*counted, *stored), UNLIMITED)
        | {"wildcards": True, "disallow_bearer": True},
        "signing_keys": signing_keys,
        "revocations": dict(revocations),
        **crossings,
    }


def _scope(key: str, role: str, may: Rights) -> dict[str, Any]:
    return {
        "kind": _USER_SCOPE,
        "key": key,
        "role": str(role),
        "template": {
            "pub": {"allow": list(may.publish)},
            "sub": {"allow": list(may.subscribe)},
            "subs": UNLIMITED,
            "data": UNLIMITED,
            "payload": UNLIMITED,
            "allowed_connection_types": _CLIENTS,
        },
    }


def _widest(shares: Sequence[Share]) -> list[Share]:
    """Without those that lie within another: a JWT with both is refused. What an account may
    import of it is in its token, so nothing is given away."""
    return [
        share
        for share in shares
        if not any(o.kind is share.kind and _covers(o.subject, share.subject) for o in shares)
    ]


def _covers(outer: str, inner: str) -> bool:
    """Whether every subject in `inner` is also in `outer`, which is another one."""
    if outer == inner:
        return False
    wide, narrow = outer.split("."), inner.split(".")
    if wide[-1] == ">":
        narrow = narrow[: len(wide) - 1] if len(narrow) >= len(wide) else []
        wide = wide[:-1]
    return len(wide) == len(narrow) and all(
        w == n or (w == "*" and n != ">") for w, n in zip(wide, narrow, strict=True)
    )


def _export(share: Share) -> dict[str, Any]:
    """Private: an account needs a token of ours to import it, as `accounts: [...]` has it."""
    told: dict[str, Any] = {
        "name": share.subject,
        "subject": share.subject,
        "type": str(share.kind),
        "token_req": True,
    }
    if share.many:
        told["response_type"] = "Stream"
    if share.within_s is not None:
        told["response_threshold"] = share.within_s * SECOND
    return told


def _import(share: Share, owner: str, token: str) -> dict[str, Any]:
    return {
        "name": share.subject,
        "subject": share.subject,
        "account": owner,
        "token": token,
        "type": str(share.kind),
    }
