"""How to reach NATS: what the settings say, as nats-py wants it; read anew at each connect."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PING_INTERVAL_S = 10
"""A half-open connection is noticed after two pings; more often than nats-py's 120 s."""

USER_TIMEOUT_MS = 15_000
"""TCP_USER_TIMEOUT: unacknowledged bytes end the connection after so long (tcp(7))."""

PENDING_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class BusOptions:
    """`inbox_prefix` is what the node's permissions allow it to receive answers on."""

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

    def connect_arguments(self) -> dict[str, Any]:
        """Keyword arguments of `nats.connect`.

        Raises:
            OSError, ssl.SSLError: a file named in the settings cannot be used.
        """
        arguments: dict[str, Any] = {
            "servers": list(self.servers),
            "name": self.name,
            "inbox_prefix": self.inbox_prefix.encode(),
            "ping_interval": PING_INTERVAL_S,
            "max_outstanding_pings": 2,
            "max_reconnect_attempts": -1,
            "reconnect_time_wait": 0.2,
            "connect_timeout": 5,
            "pending_size": PENDING_BYTES,
            "user": self.user,
            "password": self.password,
        }
        if self.creds is not None:
            arguments["user_credentials"] = str(self.creds)
        if self.nkey_seed is not None:
            arguments["nkeys_seed"] = str(self.nkey_seed)
        if self.ca is not None:
            arguments["tls"] = self._tls(self.ca)
        return arguments

    def _tls(self, ca: Path) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(ca))
        if self.certificate is not None:
            context.load_cert_chain(self.certificate, self.key)
        return context
