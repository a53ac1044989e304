"""Certificates of a fleet's own authority (X.509, RFC 5280): ECDSA on P-256 throughout.

The only importer of `cryptography`, which is the extra `tls`. The openssl command would do,
but its options change between versions, and it writes keys before it sets their mode.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from wharfside_client.auth.errors import BadAuthority

Certificate = x509.Certificate

SKEW = timedelta(minutes=5)
"""A certificate is valid from so long ago: the clocks of a fleet differ."""

_USAGES = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key, as PEM."""

    certificate: bytes
    key: bytes


class Authority:
    """Issues certificates; what trusts its own certificate trusts those."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.certificate = certificate
        self._key = key

    @classmethod
    def make(cls, name: str, days: float) -> Authority:
        """A new one, valid for so many days."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(name)
        usage = _key_usage(key_cert_sign=True, crl_sign=True)
        builder = (
            _begun(subject, subject, key.public_key(), days)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
        )
        return cls(builder.sign(key, hashes.SHA256()), key)

    @classmethod
    def load(cls, pair: Pair) -> Authority:
        """
        Raises:
            BadAuthority: certificate and key cannot be read, or are not of each other.
        """
        try:
            certificate = x509.load_pem_x509_certificate(pair.certificate)
            key = serialization.load_pem_private_key(pair.key, password=None)
        except (ValueError, TypeError) as error:
            raise BadAuthority(f"the authority's files cannot be read: {error}") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or (
            key.public_key() != certificate.public_key()
        ):
            raise BadAuthority("the authority's key is not that of its (first) certificate")
        return cls(certificate, key)

    @property
    def pair(self) -> Pair:
        return Pair(self.certificate.public_bytes(serialization.Encoding.PEM), _pem(self._key))

    def issue(self, name: str, hosts: Sequence[str], days: float) -> Pair:
        """A certificate for a server that is reached as any of `hosts`, or (none) for a client.

        It serves both ways, since servers of a cluster are each other's clients.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = (
            _begun(_name(name), self.certificate.subject, key.public_key(), days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage(_USAGES if hosts else _USAGES[1:]), critical=False)
            .add_extension(issuer, critical=False)
        )
        if hosts:
            names = x509.SubjectAlternativeName([_host(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return Pair(certificate.public_bytes(serialization.Encoding.PEM), _pem(key))


def bundled(bundle: bytes) -> list[x509.Certificate]:
    """The certificates in a PEM file, in their order.

    Raises:
        BadAuthority: it is none.
    """
    try:
        return x509.load_pem_x509_certificates(bundle)
    except ValueError as error:
        raise BadAuthority(f"no PEM certificates: {error}") from error


def bundle(certificates: Sequence[x509.Certificate]) -> bytes:
    """Several certificates as one PEM file."""
    return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in certificates)


def expiry(certificate: bytes) -> datetime:
    """When the first certificate in a PEM file expires.

    Raises:
        BadAuthority: it is none.
    """
    return bundled(certificate)[0].not_valid_after_utc


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: float
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _key_usage(**granted: bool) -> x509.KeyUsage:
    names = [
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    ]
    return x509.KeyUsage(**dict.fromkeys(names, False) | granted)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
