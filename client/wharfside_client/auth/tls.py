"""The TLS material of a fleet in one folder.

ca.pem              what everybody trusts: the authority's certificate, and behind it that of
                    the one before for as long as both are in use
ca.key              the newest authority's key: stays here
servers/NAME.*      a server's certificate (.pem) and its key
clients/NAME.*      a user's
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wharfside_client.auth.certificates import Authority, Certificate, Pair, bundle, bundled
from wharfside_client.auth.errors import BadAuthority
from wharfside_client.auth.placing import PUBLIC, place

CA_DAYS = 3650.0
CERTIFICATE_DAYS = 397.0
"""The most that browsers and many checkers accept of a server."""


@dataclass(frozen=True, slots=True)
class Issued:
    """Where a certificate and its key were written."""

    certificate: Path
    key: Path


class TlsFolder:
    """Makes what is missing, and replaces by rename."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def ca(self) -> Path:
        """The file to give to everybody."""
        return self._folder / "ca.pem"

    @property
    def exists(self) -> bool:
        return self.ca.exists()

    def make_authority(self, days: float = CA_DAYS) -> bool:
        """Makes an authority where there is none; whether it did.

        Raises:
            LocalFiles: it cannot be written.
        """
        if self.exists:
            return False
        self._put(Authority.make("Wharfside", days), [])
        return True

    def issue(self, name: str, hosts: Sequence[str] = (), days: float = CERTIFICATE_DAYS) -> Issued:
        """A server's certificate, or a client's (no hosts); one that is there is replaced.

        Raises:
            BadAuthority: there is no authority here, or it cannot be read.
            LocalFiles: it cannot be written.
        """
        pair = self._authority().issue(name, hosts, days)
        place_of = self._folder / ("servers" if hosts else "clients")
        issued = Issued(place_of / f"{name}.pem", place_of / f"{name}.key")
        place(issued.key, pair.key)
        place(issued.certificate, pair.certificate, PUBLIC)
        return issued

    def rotate_authority(self, days: float = CA_DAYS) -> None:
        """A new authority; the one before stays trusted, and can issue no more.

        Raises:
            BadAuthority: there is none here, or two are in use already.
        """
        before = bundled(self._read(self.ca))
        if len(before) > 1:
            raise BadAuthority(
                f"{self.ca} holds two authorities already: finish that change first "
                "(`wharfside auth revoke --old-ca`)",
                path=str(self.ca),
            )
        self._put(Authority.make("Wharfside", days), [before[0]])

    def drop_old_authority(self) -> bool:
        """Only the newest authority is trusted from now on; whether there was another.

        Raises:
            BadAuthority: there is none here.
        """
        both = bundled(self._read(self.ca))
        place(self.ca, bundle(both[:1]), PUBLIC)
        return len(both) > 1

    def _authority(self) -> Authority:
        return Authority.load(Pair(self._read(self.ca), self._read(self._folder / "ca.key")))

    def _put(self, authority: Authority, before: Sequence[Certificate]) -> None:
        # the key first: with the old certificate it is refused, and the change made again
        place(self._folder / "ca.key", authority.pair.key)
        place(self.ca, bundle([authority.certificate, *before]), PUBLIC)

    def _read(self, path: Path) -> bytes:
        try:
            return path.read_bytes()
        except OSError as error:
            raise BadAuthority(
                f"{path}: {error.strerror}; `wharfside auth tls` makes an authority",
                path=str(path),
            ) from error
