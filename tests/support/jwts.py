"""An operator, an account and its users for a nats-server that knows users by their JWTs alone."""

from __future__ import annotations

from wharfside_client.auth import jwts
from wharfside_client.auth.keys import Key, Kind

ISSUED = 1_700_000_000


class Trust:
    """`config` is for the server; `creds` lets a new user in. Its one account may do anything."""

    def __init__(self) -> None:
        self._operator = Key.make(Kind.OPERATOR)
        self._account = Key.make(Kind.ACCOUNT)
        self._system = Key.make(Kind.ACCOUNT)

    @property
    def config(self) -> str:
        """JetStream works for the account; it needs a system account beside it."""
        names = ("subs", "conn", "leaf", "imports", "exports", "data", "payload")
        stored = ("mem_storage", "disk_storage", "streams", "consumer")
        plain = dict.fromkeys(names, jwts.UNLIMITED) | {"wildcards": True}
        everything = plain | dict.fromkeys(stored, jwts.UNLIMITED)
        account = self._signed(self._account, {"type": "account", "limits": everything})
        system = self._signed(self._system, {"type": "account", "limits": plain})
        operator = self._signed(self._operator, {"type": "operator"})
        return (
            f"operator: {operator}\nresolver: MEMORY\nsystem_account: {self._system.public}\n"
            f"resolver_preload: {{ {self._account.public}: {account}\n"
            f"{self._system.public}: {system} }}\n"
        )

    def creds(self, expires: int | None = None) -> str:
        """The text of a creds file of a user that nobody knew before."""
        user = Key.make(Kind.USER)
        nats = {"type": "user"} | dict.fromkeys(("subs", "data", "payload"), jwts.UNLIMITED)
        token = jwts.sign(self._account, user.public, "test", nats, issued=ISSUED, expires=expires)
        return jwts.creds(token, user)

    def _signed(self, subject: Key, nats: dict[str, object]) -> str:
        return jwts.sign(self._operator, subject.public, "test", nats, issued=ISSUED)
