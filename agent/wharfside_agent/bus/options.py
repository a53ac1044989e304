"""How to reach NATS: what the settings say, as nats-py wants it; read anew for each client."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wharfside_agent.bus.credentials import read_creds, read_password, read_seed, usable

PENDING_BYTES = 8 * 1024 * 1024
CONNECT_S = 5
MAX_OUTSTANDING_PINGS = 2


@dataclass(frozen=True, slots=True)
class BusOptions:
    """`inbox_prefix` is what the node's permissions allow it to receive answers on.

    Attributes:
        ping_interval_s: a half-open connection is noticed after three of these.
        unacked_s: TCP_USER_TIMEOUT: bytes unacknowledged for so long end the
            connection (tcp(7)); a half-open one with unsent bytes shows no other way.
        unanswered_s: nothing heard, or no request answered, for so long: a new client.
        spread_s: after a loss the first try comes at random within so long.
    """

    servers: tuple[str, ...]
    name: str
    inbox_prefix: str
    creds: Path | None = None
    nkey_seed: Path | None = None
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    user: str | None = None
    password: str | None = None
    password_file: Path | None = None
    ping_interval_s: float = 10.0
    unacked_s: float = 15.0
    unanswered_s: float = 45.0
    spread_s: float = 3.0

    def connect_arguments(self, server: str) -> dict[str, Any]:
        """Keyword arguments of `nats.connect`: this server, and no reconnecting.

        A client is never mended: what is lost is followed by a new one, so credentials
        and certificates are as the files say now.

        Raises:
            BadCredentials: a file named in the settings cannot be used; it says which.
        """
        arguments: dict[str, Any] = {
            "servers": [server],
            "name": self.name,
            "inbox_prefix": self.inbox_prefix.encode(),
            "ping_interval": self.ping_interval_s,
            "max_outstanding_pings": MAX_OUTSTANDING_PINGS,
            "allow_reconnect": False,
            "max_reconnect_attempts": 1,
            "dont_randomize": True,
            "reconnect_time_wait": 0.2,
            "connect_timeout": CONNECT_S,
            "pending_size": PENDING_BYTES,
            "user": self.user,
            "password": self.password,
        }
        for name, read, path in (
            ("password", read_password, self.password_file),
            ("user_credentials", read_creds, self.creds),
            ("nkeys_seed_str", read_seed, self.nkey_seed),
            ("tls", self._tls, self.ca),
        ):
            if path is not None:
                with usable(path):
                    arguments[name] = read(path)
        return arguments

    def _tls(self, ca: Path) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(ca))
        if self.certificate is not None:
            with usable(self.certificate, *filter(None, [self.key])):
                context.load_cert_chain(self.certificate, self.key)
        return context


def location(url: str) -> str:
    """Host and port, never the credentials that a URL may carry."""
    return url.rpartition("/")[2].rpartition("@")[2]
