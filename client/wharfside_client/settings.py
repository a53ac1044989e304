"""Where the bus is and who we are there."""

from __future__ import annotations

import secrets
import ssl
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from wharfside_client.errors import BadSettings
from wharfside_protocol.errors import Invalid
from wharfside_protocol.subjects import DEFAULT_PREFIX, Subjects, check_name

if TYPE_CHECKING:
    from wharfside_protocol.signing import Signer

DEFAULT_SERVER = "nats://127.0.0.1:4222"
_CREDS_MARKS = (
    "BEGIN NATS USER JWT",
    "END NATS USER JWT",
    "BEGIN USER NKEY SEED",
    "END USER NKEY SEED",
)


def split_urls(text: str) -> tuple[str, ...]:
    """The URLs in a comma-separated list of them, as NATS_URL has it."""
    return tuple(url.strip() for url in text.split(",") if url.strip())


def _without_login(url: str) -> str:
    scheme, mark, rest = url.rpartition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}"


def _random_peer() -> str:
    return f"c-{secrets.token_hex(6)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """How to reach the bus.

    Attributes:
        servers: NATS URLs, any of one cluster.
        creds: path of a credentials file (JWT and seed); read again at each new connection.
        nkey: path of a file with an nkey seed.
        sign_key: path of a file with the seed of another one, which signs every command.
        user, password, token: for servers that use them.
        ca, cert, key: paths of PEM files; `ca` alone already means TLS.
        tls_first: the TLS handshake comes before the server's greeting.
        peer: this user's own token on the bus. With accounts it is the user's name
            there, since the user may listen on `_INBOX.<peer>.>` only; on a plain
            server a random one serves.
        inbox: the prefix of reply subjects; `_INBOX.<peer>` where left out.
        prefix: of all of Wharfside's subjects.
        actor: who asks, told to the node with each command that is not signed.
        name: shown in the server's list of connections.
        connect_timeout_s: after so many seconds without a connection, opening fails.
    """

    servers: tuple[str, ...] = (DEFAULT_SERVER,)
    creds: str | None = None
    nkey: str | None = None
    sign_key: str | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    tls_first: bool = False
    peer: str = field(default_factory=_random_peer)
    inbox: str | None = None
    prefix: str = DEFAULT_PREFIX
    actor: str | None = None
    name: str = "wharfside-client"
    connect_timeout_s: float = 5.0

    @property
    def shown_servers(self) -> list[str]:
        """`servers` as they may be told: a URL may hold a password or a token."""
        return [_without_login(url) for url in self.servers]

    @property
    def subjects(self) -> Subjects:
        return Subjects(self.prefix)

    @property
    def inbox_prefix(self) -> str:
        return self.inbox or f"_INBOX.{self.peer}"

    def check(self) -> None:
        """
        Raises:
            BadSettings: a file is missing, or is not what it should be.
            Invalid: peer or prefix are no names.
        """
        for path in (self.creds, self.nkey, self.ca, self.cert, self.key):
            if path is not None and not Path(path).is_file():
                raise BadSettings(f"{path}: no such file; check --creds, --nkey and the TLS flags")
        if self.key is not None and self.cert is None:
            raise BadSettings("--tlskey is the key of --tlscert (NATS_CERT): give both, or neither")
        if self.creds is not None:
            _check_creds(Path(self.creds))
        if self.nkey is not None and not _seed_in(Path(self.nkey).read_text(errors="replace")):
            raise BadSettings(f"{self.nkey}: no seed of a user's nkey (SU...) in it")
        Subjects(self.prefix)
        check_name(self.peer, "peer")

    def signer(self) -> Signer | None:
        """What signs every command, if anything does.

        Raises:
            BadSettings: there is no such file, no user's seed in it, or one that logs in, too.
        """
        if self.sign_key is None:
            return None
        from wharfside_protocol.signing import Signer

        try:
            seed = _seed_in(Path(self.sign_key).read_text())
            signer = Signer(seed)
        except (OSError, UnicodeDecodeError, Invalid) as error:
            raise BadSettings(
                f"{self.sign_key}: {error}; check --sign-key: `wharfside auth sign-key` makes one"
            ) from error
        if any(_has(path, seed) for path in (self.creds, self.nkey)):
            raise BadSettings(
                f"{self.sign_key} logs in, too: a NATS server can have such a key sign whatever it "
                "likes, also a command; sign with a key of its own (`wharfside auth sign-key`)"
            )
        return signer

    def expired(self) -> str | None:
        """What to do where the credentials are past their time: a server does not tell."""
        from wharfside_client.auth.jwts import expiry_of_creds

        end = None if self.creds is None else expiry_of_creds(Path(self.creds))
        if end is None or end > time.time():
            return None
        at = datetime.fromtimestamp(end, UTC)
        return (
            f"{self.creds} expired at {at:%Y-%m-%d %H:%M} UTC: have new ones made "
            "(`wharfside auth rotate`)"
        )

    def tls(self) -> ssl.SSLContext | None:
        """The TLS context that the settings ask for; None leaves it to the URLs (`tls://`).

        Raises:
            BadSettings: the PEM files cannot be used.
        """
        if self.ca is None and self.cert is None:
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.cert is not None:
                context.load_cert_chain(self.cert, self.key)
        except (OSError, ssl.SSLError) as error:
            raise BadSettings(f"the TLS files cannot be used: {error}") from error
        return context


def _seed_in(text: str) -> str:
    """The first word that begins as a user's seed: `nk -gen user -pubout` adds the public key."""
    return next((word for word in text.split() if word.startswith("SU")), "")


def _has(path: str | None, seed: str) -> bool:
    return path is not None and seed in Path(path).read_text(errors="replace")


def _check_creds(path: Path) -> None:
    # nats-py spins for ever on a file that ends in the middle
    text = path.read_text(errors="replace")
    if not all(mark in text for mark in _CREDS_MARKS):
        raise BadSettings(f"{path}: not a whole NATS credentials file; write it anew")
