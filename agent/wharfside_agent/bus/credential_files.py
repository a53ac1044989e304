"""ports.credentials.CredentialFiles: the files that BusOptions name, read whenever asked.

A JWT says its end in `exp` (RFC 7519, section 4.1.4), a certificate in notAfter (RFC 5280,
section 4.1.2.5). Certificates are read by `cryptography`, the extra `tls`, and only where the
settings name some: it costs 17 MB.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec
import structlog

from wharfside_agent.bus.credentials import MAX_BYTES, jwt_of
from wharfside_agent.bus.options import BusOptions
from wharfside_agent.core.expiry import Expiry
from wharfside_protocol.times import NANOSECONDS

log = structlog.get_logger(__name__)

Seconds = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799)]
"""To the end of the year 9999, where Python's datetime ends."""


class OptionFiles:
    """`options` gives those of now."""

    def __init__(self, options: Callable[[], BusOptions]) -> None:
        self._options = options
        self._warned = False

    def paths(self) -> Sequence[Path]:
        now = self._options()
        named = (now.creds, now.nkey_seed, now.password_file, now.ca, now.certificate, now.key)
        return [path for path in named if path is not None]

    def digest(self) -> str:
        digest = hashlib.sha256()
        for path in self.paths():
            content = _content(path)
            digest.update(b"-" if content is None else hashlib.sha256(content).digest())
        return digest.hexdigest()

    def expiries(self) -> list[Expiry]:
        now = self._options()
        found: list[Expiry] = []
        if now.creds is not None:
            found += _of_jwt(now.creds)
        for what, path in (("certificate", now.certificate), ("ca", now.ca)):
            if path is not None:
                found += self._of_certificates(what, path)
        return found

    def _of_certificates(self, what: str, path: Path) -> Iterator[Expiry]:
        """Of the one that ends first: with a chain, or among several CAs, that one is missed."""
        try:
            from cryptography import x509
        except ImportError:
            if not self._warned:
                log.warning(
                    "expiry-unknown", path=str(path), message="pip install 'wharfside[tls]'"
                )
            self._warned = True
            return
        with suppress(ValueError):
            certificates = x509.load_pem_x509_certificates(_content(path) or b"")
            first = min(certificates, key=lambda each: each.not_valid_after_utc)
            begin, end = first.not_valid_before_utc, first.not_valid_after_utc
            yield Expiry(what, str(path), _nanoseconds(begin), _nanoseconds(end))


class _Claims(msgspec.Struct, frozen=True):
    """Seconds since 1970; none means that it never ends."""

    iat: Seconds = 0
    exp: Seconds | None = None


def _of_jwt(path: Path) -> Iterator[Expiry]:
    with suppress(OSError, ValueError, IndexError, msgspec.MsgspecError):
        body = (jwt_of(path) or "").split(".")[1]
        claims = msgspec.json.decode(base64.urlsafe_b64decode(f"{body}=="), type=_Claims)
        if claims.exp is not None:
            begin, end = claims.iat * NANOSECONDS, claims.exp * NANOSECONDS
            yield Expiry("jwt", str(path), begin, end)


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * NANOSECONDS


def _content(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES)
    except OSError:
        return None
